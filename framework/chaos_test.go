package framework_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
	"tombolo/framework/frameworktest"
	"tombolo/framework/store/storetest"
)

// chaos does random things to a cluster and its framework, one after another.
type chaos struct {
	*bed
	random *rand.Rand
	wanted app.App
	gone   map[string]bool // hosts that were killed or partitioned
}

func chaosOptions(seed uint64, hosts ...string) frameworktest.Options {
	random := rand.New(rand.NewPCG(seed, 2))
	return frameworktest.Options{
		Hosts: hosts, Seed: seed, Loss: 0.05, Repeat: 0.2,
		Behave: func(mesos.TaskInfo) frameworktest.Behaviour {
			return frameworktest.Behaviour{
				Start:   time.Duration(random.IntN(2000)) * time.Millisecond,
				Healthy: time.Duration(random.IntN(2)*random.IntN(3000)) * time.Millisecond,
				Stop:    time.Duration(random.IntN(1000)) * time.Millisecond,
			}
		},
	}
}

func (c *chaos) host() string { return c.hosts[c.random.IntN(len(c.hosts))] }

// act does one thing and says which; "": nothing.
func (c *chaos) act() string {
	switch host := c.host(); c.random.IntN(12) {
	case 0, 1:
		if len(c.gone) < len(c.hosts)-1 {
			c.gone[host] = true
			if c.random.IntN(2) == 0 {
				c.cluster.KillHost(host)
				return "kill " + host
			}
			c.cluster.Partition(host)
			return "partition " + host
		}
	case 2, 3:
		c.heal(host)
		return "return " + host
	case 4:
		c.cluster.StopLinker(host)
		return "stop linker of " + host
	case 5:
		c.cluster.StartLinker(host)
		return "start linker of " + host
	case 6:
		c.cluster.RestartMaster(time.Duration(c.random.IntN(5000)) * time.Millisecond)
		return "restart the master"
	case 7, 8:
		if running := slices.Sorted(maps.Keys(c.cluster.Running())); len(running) > 0 {
			id := running[c.random.IntN(len(running))]
			c.cluster.EndTask(id)
			return "end " + id
		}
	case 9:
		replicas := c.random.IntN(6)
		c.wanted = edit(c.wanted, "web", func(s *app.Service) { s.Replicas = replicas })
		c.tryPut()
		return fmt.Sprintf("scale web to %d", replicas)
	case 10:
		image := fmt.Sprintf("v%d", c.random.IntN(3))
		c.wanted = edit(c.wanted, "db", func(s *app.Service) { s.Image = image })
		c.tryPut()
		return "db becomes " + image
	case 11:
		c.restart()
		return "kill -9 the framework"
	}
	return ""
}

func (c *chaos) tryPut() {
	if _, err := c.f.PutApp(c.t.Context(), c.wanted); err != nil {
		c.t.Errorf("put the app: %v", err)
	}
}

// restart ends the framework as by a kill -9 and starts it again.
func (c *chaos) restart() {
	if err := c.stop(); err != nil && !errors.Is(err, storetest.ErrCrash) {
		c.t.Errorf("Run returned %v, want nil or a crash of the store", err)
	}
	c.memory.Reopen()
	c.start()
}

func (c *chaos) heal(host string) {
	delete(c.gone, host)
	c.cluster.Return(host)
}

func (c *chaos) healAll() {
	for _, host := range c.hosts {
		c.heal(host)
	}
}

// seeds returns the first and the last of n seeds. TOMBOLO_SEED selects one seed and
// TOMBOLO_SEEDS another number of seeds.
func seeds(t *testing.T, n int) (first, last int) {
	if text := os.Getenv("TOMBOLO_SEED"); text != "" {
		seed, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return seed, seed
	}
	if text := os.Getenv("TOMBOLO_SEEDS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	return 1, n
}

// TestChaos does random things for a while and then heals everything. The app must come up
// as it was put last, and leave nothing behind when it is removed.
func TestChaos(t *testing.T) {
	first, last := seeds(t, 60)
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			in(t, chaosOptions(uint64(seed), "h1", "h2", "h3", "h4"), func(b *bed) {
				c := &chaos{bed: b, random: rand.New(rand.NewPCG(uint64(seed), 3)), wanted: shop(), gone: map[string]bool{}}
				c.put(c.wanted)
				for range 25 {
					t.Logf("%v %s", time.Now().Format("15:04:05.000"), c.act())
					time.Sleep(time.Duration(c.random.IntN(8000)) * time.Millisecond)
				}
				c.healAll()
				c.finish()
			})
		})
	}
}

// finish expects every instance to be up, and after the removal no task at all.
func (c *chaos) finish() {
	c.t.Helper()
	time.Sleep(time.Minute)
	s := c.awaitUp("shop")
	if want := c.wanted.Services["web"].Replicas + 2; len(s.Instances) != want {
		c.t.Errorf("the app has %d instances, want %d\n%s", len(s.Instances), want, show(s))
	}
	time.Sleep(30 * time.Second)
	s = c.awaitUp("shop")
	if running := c.cluster.Running(); len(running) != len(s.Instances) {
		c.t.Errorf("these tasks run: %v; want one for each instance\n%s", running, show(s))
	}
	for id := range c.cluster.Running() {
		found := false
		for _, i := range s.Instances {
			found = found || i.Task == id
		}
		if !found {
			c.t.Errorf("task %s runs but belongs to no instance\n%s", id, show(s))
		}
	}
	c.remove("shop")
	c.awaitGone("shop")
	time.Sleep(time.Minute)
	if running := c.cluster.Running(); len(running) > 0 {
		c.t.Errorf("these tasks run after the app was removed: %v", running)
	}
}

// TestCrashesLoseAndRepeatNothing ends the framework at each write to its store, once just
// before the write is durable and once just after it.
func TestCrashesLoseAndRepeatNothing(t *testing.T) {
	for _, lose := range []bool{false, true} {
		for n := 1; ; n++ {
			done := false
			t.Run(fmt.Sprintf("write %d, lost: %v", n, lose), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { done = crashAt(t, n, lose) })
			})
			if done || t.Failed() {
				break
			}
		}
	}
}

// crashAt crashes the framework at the n-th write. It reports whether there are fewer.
func crashAt(t *testing.T, n int, lose bool) (fewer bool) {
	b := newBed(t, frameworktest.Options{Hosts: []string{"h1", "h2"}})
	c := &chaos{bed: b, wanted: shop()}
	b.memory.CrashAfter(n, lose)
	b.start()
	again := func() bool {
		synctest.Wait()
		crashed := b.memory.Crashed()
		if crashed {
			c.restart()
		}
		return crashed
	}
	crashed := c.survive(func() { _, _ = b.f.PutApp(timeout(t), shop()) }, again)
	for range 40 {
		time.Sleep(500 * time.Millisecond)
		crashed = again() || crashed
	}
	c.awaitUp("shop")
	if launches := len(b.cluster.Running()); launches != 5 {
		t.Errorf("%d tasks run, want 5", launches)
	}
	crashed = c.survive(func() { _ = b.f.DeleteApp(timeout(t), "shop", false) }, again) || crashed
	for range 40 {
		time.Sleep(500 * time.Millisecond)
		crashed = again() || crashed
	}
	c.awaitGone("shop")
	if running := b.cluster.Running(); len(running) > 0 {
		t.Errorf("these tasks run after the app was removed: %v", running)
	}
	if err := b.stop(); err != nil {
		t.Errorf("Run returned %v, want nil", err)
	}
	for _, v := range b.cluster.Violations() {
		t.Error(v)
	}
	return !crashed
}

// survive runs a command, and runs it again if the framework has crashed meanwhile, which
// it reports.
func (c *chaos) survive(command func(), again func() bool) bool {
	command()
	if !again() {
		return false
	}
	command()
	return true
}

// timeout returns a context for a command to a framework that may have crashed.
func timeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}
