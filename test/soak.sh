#!/usr/bin/env bash
# Runs the long tests: every fuzz target, the simulated cluster with SEEDS (10,000) seeds,
# and the end-to-end tests again and again. It takes at most MINUTES (60): a quarter of
# the time for fuzzing, then the simulation, then as many whole rounds of the end-to-end
# tests as fit. `make soak` runs it after building the binary.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
test/tools.sh
end=$((${MINUTES:-60} * 60)) # bash counts SECONDS from the start of the script

# left prints the remaining seconds, for -timeout. It fails if no time remains.
left() {
	if [ "$SECONDS" -ge "$end" ]; then
		echo "soak: the tests did not fit into $((end / 60)) minutes; set MINUTES to allow more" >&2
		return 1
	fi
	echo $((end - SECONDS))
}

targets=$(grep -roE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' . | sed -E 's|/[^/]*:func | |' | sort -u)
each=$((end / 4 / $(wc -l <<<"$targets")))
while read -r -u 3 dir target; do
	echo "== fuzz $dir $target"
	"$GO" test -run '^$' -fuzz "^$target\$" -fuzztime "${each}s" -fuzzminimizetime 1x "$dir"
done 3<<<"$targets"

echo "== simulated cluster"
timeout=$(left)
SEED='' SEEDS=${SEEDS:-10000} TIMEOUT="${timeout}s" test/sim/run.sh

round=0 took=0
while [ $((SECONDS + took * 3 / 2)) -lt "$end" ]; do
	round=$((round + 1)) began=$SECONDS
	for package in ./test/e2e ./test/e2e/machine; do
		echo "== end to end, round $round: $package"
		timeout=$(left)
		TOMBOLO_BINARY=$PWD/bin/tombolo "$GO" test -count=1 -timeout "${timeout}s" "$package"
	done
	took=$((SECONDS - began))
done
if [ "$round" = 0 ]; then
	echo "soak: no time was left for the end-to-end tests; set MINUTES to allow more" >&2
	exit 1
fi
