package sim

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
)

// seedsOfTest is the number of seeds that `go test` runs, which has the race detector on in
// `make test`. `make sim` runs more.
const seedsOfTest = 20

// number returns the number in an environment variable; missing: there is none.
func number(t *testing.T, name string, missing uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return missing
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, text)
	}
	return n
}

// TestSeeds plays one scenario for each seed: the one in TOMBOLO_SEED, or as many as
// TOMBOLO_SEEDS says. TOMBOLO_SHARD=i of TOMBOLO_SHARDS=n plays each n-th of them only.
func TestSeeds(t *testing.T) {
	first, last := uint64(1), number(t, "TOMBOLO_SEEDS", seedsOfTest)
	if seed := number(t, "TOMBOLO_SEED", 0); seed != 0 {
		first, last = seed, seed
	}
	shards, shard := number(t, "TOMBOLO_SHARDS", 1), number(t, "TOMBOLO_SHARD", 0)
	for seed := first; seed <= last; seed++ {
		if seed%shards != shard%shards && first != last {
			continue
		}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, seed) })
			if t.Failed() {
				t.Logf("to see it again: make sim SEED=%d", seed)
			}
		})
	}
}

// play plays the scenario of a seed.
func play(t *testing.T, seed uint64) {
	s := newScenario(t, seed)
	s.start()
	for round := range s.rounds {
		s.random = rand.New(rand.NewPCG(seed, uint64(100+round))) // another course of one round does not change the next
		s.say(s.act())
		s.pass(s.pause())
		s.watch()
	}
	s.calm()
	s.settle()
	s.removeAll()
	s.stop()
	for _, v := range s.violations() {
		t.Error(v)
	}
}
