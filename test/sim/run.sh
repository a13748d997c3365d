#!/bin/sh
# Plays SEEDS (200) seeds of the simulation, or the one in SEED, of which it shows everything that
# happens. Each processor plays a share of the seeds in a process of its own with one thread: so
# the goroutines of a scenario run in nearly the same order when its seed is played again. Go
# starts what is due at the same instant in random order, therefore the seed in SEED is played up
# to PLAYS (10) times, until it fails.
set -eu
cd "$(dirname "$0")/../.."
GO=${GO:-go}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$GO" test -c -o "$work/sim.test" ./test/sim
cd test/sim
export GOMAXPROCS=1
if [ -n "${SEED:-}" ]; then
	TOMBOLO_SEED=$SEED "$work/sim.test" -test.v -test.count "${PLAYS:-10}" -test.failfast -test.run '^TestSeeds$' -test.timeout 10m
	exit
fi
shards=$(nproc) shard=0 processes= status=0
while [ "$shard" -lt "$shards" ]; do
	TOMBOLO_SEEDS=${SEEDS:-200} TOMBOLO_SHARD=$shard TOMBOLO_SHARDS=$shards \
		"$work/sim.test" -test.run '^TestSeeds$' -test.timeout "${TIMEOUT:-10m}" >"$work/$shard.log" 2>&1 &
	processes="$processes $!" shard=$((shard + 1))
done
for process in $processes; do wait "$process" || status=$?; done
cat "$work"/*.log
[ "$status" = 0 ] && echo "seeds 1 to ${SEEDS:-200} pass; to see one of them: make sim SEED=n"
exit "$status"
