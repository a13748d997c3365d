package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tombolo/framework/app"
)

// scenario is one play: what is wanted, what is broken, and the chance that decides.
type scenario struct {
	*world
	random *rand.Rand
	rounds int
	apps   map[string]app.App // wanted now, by name
	gone   map[string]bool    // hosts that were killed or cut off
	armed  bool               // the store crashes at one of its next writes
	busy   map[string]float64 // hosts -> CPUs that another framework uses
}

func newScenario(t *testing.T, seed uint64) *scenario {
	random := rand.New(rand.NewPCG(seed, 3))
	return &scenario{
		world: newWorld(t, seed, random), random: random, rounds: 15 + random.IntN(25),
		apps: map[string]app.App{}, gone: map[string]bool{}, busy: map[string]float64{},
	}
}

// pause returns how long nothing else happens: mostly seconds, sometimes hours.
func (s *scenario) pause() time.Duration {
	switch s.random.IntN(20) {
	case 0:
		return time.Duration(s.random.IntN(120)) * time.Minute
	case 1, 2:
		return time.Duration(s.random.IntN(120)) * time.Second
	}
	return time.Duration(s.random.IntN(8000)) * time.Millisecond
}

// pass lets time go by. If the store crashes meanwhile, the framework is started again.
func (s *scenario) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		step := time.Until(end)
		if s.armed {
			step = min(step, 100*time.Millisecond)
		}
		time.Sleep(step)
		s.revive()
	}
}

// revive starts the framework again if its store has crashed, which it reports.
func (s *scenario) revive() bool {
	if !s.memory.Crashed() {
		return false
	}
	s.armed = false
	s.restart(s.downtime())
	return true
}

// downtime returns for how long the framework is away after a crash.
func (s *scenario) downtime() time.Duration {
	if s.random.IntN(4) == 0 {
		return time.Duration(s.random.IntN(600)) * time.Second
	}
	return time.Duration(s.random.IntN(2000)) * time.Millisecond
}

// restart ends the framework as a kill -9 does, and starts it again after a while.
func (s *scenario) restart(down time.Duration) {
	s.stop()
	s.memory.Reopen()
	s.armed = false
	s.say(fmt.Sprintf("the framework is away for %v", down))
	time.Sleep(down)
	s.start()
}

// act does one thing and says which.
func (s *scenario) act() string {
	if len(s.apps) == 0 {
		return s.putRandom()
	}
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	at := s.random.IntN(total)
	for _, f := range faults {
		if at -= f.weight; at < 0 {
			return f.do(s)
		}
	}
	return ""
}

// calm ends all faults and makes all wishes ones that can be met.
func (s *scenario) calm() {
	s.say("the faults stop")
	s.calmed.Store(true)
	s.cluster.Calm()
	s.memory.Reopen()
	s.restart(time.Second)
	for _, host := range s.hosts {
		s.cluster.Return(host)
		s.cluster.StartLinker(host)
		s.cluster.Trouble(host)
		s.cluster.BreakEngine(host, false)
		s.cluster.Occupy(host, -s.busy[host])
	}
	for _, name := range sorted(s.apps) {
		if fit := fitting(s.apps[name]); s.apps[name].Services != nil {
			s.put(fit)
		}
	}
}

// removeAll removes all apps, after which nothing may run.
func (s *scenario) removeAll() {
	for _, name := range sorted(s.apps) {
		s.remove(name)
	}
	s.await("empty", func() string { return s.differences() })
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
