package framework_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework"
	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/frameworktest"
	"tombolo/framework/store"
	"tombolo/framework/store/storetest"
)

// one returns an app with one service of one instance.
func one(name string, change func(*app.Service)) app.App {
	s := app.Service{Name: "web", Image: name + ":1", Replicas: 1, Restart: app.Restart{Condition: app.RestartAny}}
	if change != nil {
		change(&s)
	}
	return app.App{Name: name, Services: map[string]app.Service{"web": s}}
}

func needsCPUs(cpus float64) func(*app.Service) {
	return func(s *app.Service) { s.Resources.CPUs = cpus }
}

// The room of a host is that of the offers that the framework holds, not of all it ever saw.
func TestAnAcceptCarriesNoMoreThanItsOffers(t *testing.T) {
	options := frameworktest.Options{Hosts: []string{"h1"}, Split: 2, Rescind: 0.5}
	for seed := range uint64(20) {
		options.Seed = seed
		in(t, options, func(b *bed) {
			b.put(one("big", needsCPUs(3)))
			b.awaitUp("big")
			b.put(one("small", needsCPUs(0.5)))
			b.awaitUp("small")
		})
	}
}

func TestAnotherFrameworksShareIsNotUsed(t *testing.T) {
	in(t, frameworktest.Options{Hosts: []string{"h1"}, Split: 2}, func(b *bed) {
		b.cluster.Occupy("h1", 3)
		b.put(one("big", needsCPUs(2.5)))
		time.Sleep(time.Minute)
		if n := len(b.cluster.Launches()); n != 0 {
			t.Errorf("%d tasks were launched although 1 CPU is free and 2.5 are needed", n)
		}
		b.cluster.Occupy("h1", -3)
		b.awaitUp("big")
	})
}

// A SUPPRESS that fails and is repeated belongs to its subscription: in the next one the
// framework has not suppressed offers.
func TestCallsOfAnEndedSubscriptionAreDropped(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.cluster.FailCalls(3 * time.Second)
		time.Sleep(time.Second)
		b.cluster.RestartMaster(time.Second)
		b.cluster.FailCalls(10 * time.Second)
		time.Sleep(20 * time.Second)
		b.put(shop())
		b.awaitUp("shop")
	})
}

func TestLateCallsDoNoHarm(t *testing.T) {
	for seed := range uint64(10) {
		in(t, frameworktest.Options{Seed: seed, Late: 3 * time.Second}, func(b *bed) {
			b.put(shop())
			time.Sleep(2 * time.Second)
			b.cluster.RestartMaster(time.Second)
			b.awaitUp("shop")
			b.remove("shop")
			b.awaitGone("shop")
		})
	}
}

func TestAnInstanceThatFitsNowhereLeavesOffersToOthers(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(one("huge", needsCPUs(100)))
		time.Sleep(10 * time.Minute)
		held, longest := b.cluster.Offers()
		if share := held / 3; share > 30*time.Second || longest > 5*time.Second+500*time.Millisecond {
			t.Errorf("in 10 minutes the offers of each host were held for %v, the longest for %v; want less than 30s and 5s", share, longest)
		}
		b.put(one("small", nil))
		b.awaitUp("small")
	})
}

// An agent that refuses every launch gets a pause, and instances go to the host beside it.
func TestAnAgentThatRefusesLaunchesRests(t *testing.T) {
	options := frameworktest.Options{Hosts: []string{"h1", "h2"}, Behave: func(info mesos.TaskInfo) frameworktest.Behaviour {
		b := frameworktest.Behaviour{Start: 200 * time.Millisecond}
		if info.AgentID.Value == "S0" {
			b.Drop = "no space left on device"
		}
		return b
	}}
	in(t, options, func(b *bed) {
		time.Sleep(time.Second) // both hosts offer: a framework that knows one alone launches all instances there
		b.put(one("web", func(s *app.Service) { s.Replicas = 8 }))
		if s := b.awaitUp("web"); !nobodyOn(s, "h1") {
			t.Errorf("an instance counts as up on the broken host:\n%s", show(s))
		}
		if n := len(b.cluster.Launches()); n > 24 {
			t.Errorf("%d tasks were launched for 8 instances, want at most 24", n)
		}
		snapshot, _ := b.f.Snapshot()
		if h := snapshot.Info.Hosts[0]; !strings.Contains(h.Problem, "its agent has refused") || !strings.Contains(h.Problem, "no space left") {
			t.Errorf("the host is shown as %+v, want that it rests and why", h)
		}
		b.put(one("only", func(s *app.Service) {
			s.Constraints = []app.Constraint{{Attribute: "hostname", Op: "==", Value: "h1"}}
		}))
		time.Sleep(time.Second)
		if i := find(b.status("only"), "web", 1); !strings.Contains(i.Reason, "h1: rests until") {
			t.Errorf("the instance is shown as %+v, want that its host rests", i)
		}
		before := len(b.cluster.Launches())
		time.Sleep(10 * time.Minute)
		if n := len(b.cluster.Launches()) - before; n < 1 || n > 8 {
			t.Errorf("the resting host got %d launches in 10 minutes, want a few", n)
		}
	})
}

func TestAnAcceptThatIsRefusedAsAWholeIsPlacedAgain(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.cluster.RefuseAccepts(true)
		b.put(shop())
		s := b.await("shop", "refused", time.Minute, func(s api.Status) bool { return s.Failed != "" })
		if !strings.Contains(s.Failed, "the master refused the launch") {
			t.Errorf("the app failed for %q, want that the master refused its launch", s.Failed)
		}
		b.cluster.RefuseAccepts(false)
		b.awaitUp("shop")
	})
}

func TestAGlobalServiceIsUpWithoutADeadHost(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(one("agents", func(s *app.Service) { s.Global, s.Replicas = true, 0 }))
		b.await("agents", "on three hosts", time.Minute, func(s api.Status) bool { return s.Up && len(s.Instances) == 3 })
		b.cluster.KillHost("h3")
		time.Sleep(time.Minute)
		s := b.awaitUp("agents")
		lost := 0
		for _, i := range s.Instances {
			if i.State == api.StateLost && i.Host == "h3" {
				lost++
			}
		}
		if lost != 1 {
			t.Errorf("the instance of the dead host is not shown as lost:\n%s", show(s))
		}
	})
}

func TestAnAppIsUpAfterScalingDownALostInstance(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(edit(shop(), "web", func(s *app.Service) { s.NeverReplace = true }))
		home := find(b.awaitUp("shop"), "web", 3).Host
		b.cluster.Partition(home)
		b.await("shop", "lost", time.Minute, func(s api.Status) bool { return find(s, "web", 3).State == api.StateLost })
		b.put(edit(shop(), "web", func(s *app.Service) { s.NeverReplace, s.Replicas = true, 0 }))
		b.await("shop", "up without the lost instance", time.Minute, func(s api.Status) bool { return s.Up })
	})
}

func TestAGlobalServiceKeepsItsBackOffAcrossReconnects(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"agents:1": {Start: 100 * time.Millisecond, Run: 50 * time.Millisecond, Exit: 3},
	})}
	in(t, options, func(b *bed) {
		b.put(one("agents", func(s *app.Service) { s.Global, s.Replicas = true, 0 }))
		for range 10 {
			time.Sleep(20 * time.Second)
			b.cluster.RestartMaster(time.Second)
		}
		if n := len(b.cluster.Launches()); n > 3*10 {
			t.Errorf("%d tasks were launched on 3 hosts in 200 seconds, want at most 10 on each", n)
		}
		if i := find(b.status("agents"), "web", 1); i.Restarts < 5 {
			t.Errorf("the instance is %+v, want all of its restarts", i)
		}
	})
}

// gate is a store that loads only once it is opened.
type gate struct {
	*storetest.Memory
	open chan struct{}
}

func (g gate) Load(fn func(string, []byte) error) error {
	<-g.open
	return g.Memory.Load(fn)
}

func TestNothingIsServedBeforeTheStoreIsLoaded(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"job:1": {Start: 100 * time.Millisecond, Run: time.Second},
	})}
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, options)
		job := one("job", func(s *app.Service) { s.Restart.Condition = app.RestartOnFailure })
		b.start()
		b.put(job)
		b.awaitUp("job")
		time.Sleep(5 * time.Second)
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		opening := gate{b.memory, make(chan struct{})}
		f := framework.New(framework.Config{Master: b.cluster.Client(), Store: store.New(opening), Log: testLog()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		if snapshot, _ := f.Snapshot(); snapshot != nil {
			t.Errorf("the framework shows %+v before its store is loaded, want nothing", snapshot)
		}
		go close(opening.open)
		if _, err := f.PutApp(t.Context(), job); err != nil { // the first thing that it does
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if n := len(b.cluster.Launches()); n != 1 {
			t.Errorf("the finished job was launched %d times, want once", n)
		}
		if err := f.DeleteApp(t.Context(), "job", false); err != nil {
			t.Errorf("the stored app cannot be removed: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A task that is killed while its image is pulled has written nothing.
func TestAKilledPullDoesNotTieItsVolume(t *testing.T) {
	options := frameworktest.Options{Killing: true, Behave: func(mesos.TaskInfo) frameworktest.Behaviour {
		return frameworktest.Behaviour{Start: time.Minute, Stop: time.Second}
	}}
	in(t, options, func(b *bed) {
		b.put(withData(app.Volume{Name: "shop_data"}))
		b.await("shop", "staging", time.Minute, func(s api.Status) bool { return find(s, "db", 1).State == api.StateStaging })
		home := find(b.status("shop"), "db", 1).Host
		b.remove("shop")
		b.awaitGone("shop")
		b.cluster.Partition(home)
		time.Sleep(time.Minute)
		b.put(withData(app.Volume{Name: "shop_data"}))
		b.await("shop", "on another host", 3*time.Minute, func(s api.Status) bool {
			i := find(s, "db", 1)
			return i.State == api.StateUp && i.Host != home
		})
	})
}

func TestConstraintsUseAttributesOfEveryType(t *testing.T) {
	options := frameworktest.Options{Attributes: []mesos.Attribute{
		{Name: "rack", Type: mesos.SCALAR, Scalar: &mesos.Value_Scalar{Value: 3}},
		{Name: "disks", Type: mesos.SET, Set: &mesos.Value_Set{Item: []string{"ssd", "hdd"}}},
		{Name: "rows", Type: mesos.RANGES, Ranges: &mesos.Value_Ranges{Range: []mesos.Value_Range{{Begin: 1, End: 4}}}},
	}}
	in(t, options, func(b *bed) {
		b.put(one("web", func(s *app.Service) {
			s.Constraints = []app.Constraint{
				{Attribute: "rack", Op: "==", Value: "3"}, {Attribute: "disks", Op: "==", Value: "ssd"}, {Attribute: "rows", Op: "!=", Value: "5"},
			}
		}))
		b.awaitUp("web")
	})
}

func TestAnAppWithTooManyInstancesIsRefused(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		huge := app.App{Name: "huge", Services: map[string]app.Service{}}
		for i := range 500 {
			name := fmt.Sprintf("s%d", i)
			huge.Services[name] = app.Service{Name: name, Image: "x", Replicas: app.MaxReplicas, Restart: app.Restart{Condition: app.RestartAny}}
		}
		if _, err := b.f.PutApp(t.Context(), huge); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("an app of 5 million instances was answered with %v, want that it is invalid", err)
		}
	})
}
