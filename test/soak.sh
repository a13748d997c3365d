#!/usr/bin/env bash
# Runs what takes long: every fuzz target, the simulated cluster with many seeds, and
# the end-to-end tests again and again. It takes MINUTES (60) at most on two cores: a
# quarter of them for fuzzing, and as many whole rounds at the end as still fit.
# `make soak` calls it after building the binary.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
end=$((${MINUTES:-60} * 60)) # bash counts SECONDS from the start of the script

# left prints the seconds that are left, for a -timeout; none are a failure.
left() {
	if [ "$SECONDS" -ge "$end" ]; then
		echo "soak: it takes longer than $((end / 60)) minutes" >&2
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
TOMBOLO_SEEDS=${SEEDS:-1000} "$GO" test -count=1 -timeout "${timeout}s" ./framework/

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
	echo "soak: no time was left for the end-to-end tests" >&2
	exit 1
fi
