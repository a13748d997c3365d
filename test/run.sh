#!/usr/bin/env bash
# Runs every test of the repository: unit tests and simulations with the race detector,
# fuzz seeds, kernel tests, end-to-end tests in a lab, some chaos, and the demo. It needs root. A
# skipped test is a failure. `make test` runs it after building the binary and the images
# of the examples.
#
# The lab has the Docker Engine of this machine (ENGINE: another one of test/engine.sh). With
# SECOND_ENGINE=29 the end-to-end tests in test/e2e/engines.txt run on that Engine too.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
log=$(mktemp)
scratch=$(mktemp -d)
trap 'rm -rf "$log" "$scratch"' EXIT

no_skips() {
	if grep -q -- '--- SKIP' "$log"; then
		echo "some tests were skipped (see SKIP above); CI allows no skips" >&2
		exit 1
	fi
}

second=${SECOND_ENGINE:-}
[ -z "$second" ] || test/engine.sh "$second" >/dev/null # first, because the first build takes minutes and needs the network
with_engine() { if [ -n "$1" ]; then test/engine.sh "$@"; else shift && "$@"; fi; }

test/tools.sh
slow='^tombolo/test/e2e'
if kernel=$(test/vm/kernel.sh); then # test/vm boots this kernel
	export TOMBOLO_KERNEL=$kernel
else
	echo "this distribution packages no kernel for virtual machines: test/vm is left out" >&2
	slow+='|^tombolo/test/vm'
fi

"$GO" vet ./...
(cd examples/guestbook/web && "$GO" vet ./...) # it is a Go module of its own, so ./... does not include it

fast=$("$GO" list ./... | grep -vE "$slow")
# shellcheck disable=SC2086 # a list of packages
CGO_ENABLED=1 "$GO" test -v -race -count=1 -timeout 10m $fast >"$log" 2>&1 || status=$?
grep -E '^(ok|FAIL|panic|---? FAIL|\?)|--- (FAIL|SKIP)' "$log" | grep -v 'no test files' || true
if [ "${status:-0}" != 0 ]; then
	grep -E -B 40 -A 5 '^\s*--- FAIL|DATA RACE|^panic' "$log" | grep -vE '^\s*(=== |--- PASS|PASS$)' | tail -n 300
	exit "$status"
fi
no_skips

GO=$GO SEED='' test/sim/run.sh # `make sim` with its 200 seeds

if command -v vagrant >/dev/null; then
	for agents in 2 5; do # with its own state folder, because .vagrant may belong to running machines
		AGENTS=$agents VAGRANT_DOTFILE_PATH=$scratch vagrant validate --ignore-provider
	done
fi
for script in packaging/*.sh examples/*.sh test/tools.sh test/sim/*.sh test/vm/*.sh; do sh -n "$script"; done
bash -n test/engine.sh

# One package after the other (-p 1), because each makes labs and a machine has one lab.
TOMBOLO_BINARY=$PWD/bin/tombolo with_engine "${ENGINE:-}" "$GO" test -v -p 1 -count=1 -timeout 40m ./test/e2e/... 2>&1 | tee "$log"
no_skips

if [ -n "$second" ]; then
	echo "== what concerns the Docker Engine, on Engine $second"
	concern=$(grep -v '^#' test/e2e/engines.txt | paste -sd '|')
	TOMBOLO_BINARY=$PWD/bin/tombolo with_engine "$second" "$GO" test -v -count=1 -timeout 15m -run "^($concern)\$" ./test/e2e 2>&1 | tee "$log"
	no_skips
fi

# A few rounds of chaos. `make chaos` makes more, and repeats those of a seed.
"$GO" run ./test/chaos --binary bin/tombolo --rounds 5 --seed "${SEED:-0}"

# The demo: the example apps, with real PostgreSQL and Redis.
"$GO" run ./test/demo --binary bin/tombolo
