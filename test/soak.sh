#!/usr/bin/env bash
# Runs what takes long: every fuzz target for a minute, the simulated cluster with
# many seeds, and the end-to-end tests several times. At most an hour on two cores.
# `make soak` calls it after building the binary.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
fuzztime=${FUZZTIME:-60s}
rounds=${ROUNDS:-4}

grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
	grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | cut -d' ' -f2 | while read -r target; do
		echo "== fuzz $dir $target"
		"$GO" test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime 1x "$dir"
	done
done

echo "== simulated cluster"
TOMBOLO_SEEDS=${SEEDS:-1000} "$GO" test -count=1 -timeout 15m ./framework/

echo "== end to end, $rounds times"
TOMBOLO_BINARY=$PWD/bin/tombolo "$GO" test -count="$rounds" -timeout 40m ./test/e2e/
