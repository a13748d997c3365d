package framework_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/frameworktest"
)

func TestAMissingImageFailsTheApp(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"db:1": {Start: time.Second, Pull: "Error response from daemon: manifest unknown"},
	})}
	in(t, options, func(b *bed) {
		b.put(shop())
		s := b.await("shop", "failed", 10*time.Second, func(s api.Status) bool { return s.Failed != "" })
		if want := "db.1: image db:1 cannot be pulled: manifest unknown"; s.Failed != want {
			t.Errorf("the app failed for %q, want %q", s.Failed, want)
		}
		b.remove("shop")
		b.awaitGone("shop")
	})
}

// The last lines of failures stand in the store and in each status, so that their size is bounded.
func TestOfTheLastLinesALongOneIsCut(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"cache:1": {Start: 100 * time.Millisecond, Run: 50 * time.Millisecond, Exit: 3, Last: strings.Repeat("ä", 40_000)},
	})}
	in(t, options, func(b *bed) {
		b.put(shop())
		b.await("shop", "failed", 10*time.Second, func(s api.Status) bool { return s.Failed != "" })
		lines := find(b.status("shop"), "cache", 1).Log
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, "ää") || !strings.HasSuffix(last, "ä…") || len(last) > 500 {
			t.Errorf("the last line has %d bytes and ends with %q, want at most 500 and a mark", len(last), last[max(0, len(last)-10):])
		}
	})
}

func TestAContainerThatExitsAtOnceFailsTheApp(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"cache:1": {Start: 100 * time.Millisecond, Run: 50 * time.Millisecond, Exit: 3},
	})}
	in(t, options, func(b *bed) {
		b.put(shop())
		s := b.await("shop", "failed", 10*time.Second, func(s api.Status) bool {
			if s.Up || find(s, "cache", 1).State == api.StateUp {
				t.Fatalf("cache counts as up although its container exits at once:\n%s", show(s))
			}
			return s.Failed != ""
		})
		i := find(s, "cache", 1)
		if i.ExitCode != 3 || !slices.Contains(i.Log, "something is wrong") || !strings.Contains(s.Failed, "exited with status 3") {
			t.Errorf("the app failed for %q with instance %+v, want exit status 3 and the output", s.Failed, i)
		}
		// The framework goes on trying, with back-off.
		time.Sleep(10 * time.Minute)
		if n := len(b.cluster.Launches()); n < 10 || n > 22 {
			t.Errorf("%d tasks were launched in 10 minutes, want 10 to 22", n)
		}
	})
}

func TestALostHostKeepsItsVolume(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		shop := edit(shop(), "db", func(s *app.Service) {
			s.Mounts = []app.Mount{{Type: app.MountVolume, Source: "shop_data", Target: "/data"}}
		})
		b.put(shop)
		home := find(b.awaitUp("shop"), "db", 1).Host
		b.cluster.KillHost(home)
		s := b.await("shop", "up elsewhere but for db", time.Minute, func(s api.Status) bool {
			for _, i := range s.Instances {
				if i.Service != "db" && (i.State != api.StateUp || i.Host == home) {
					return false
				}
			}
			i := find(s, "db", 1)
			return i.State == api.StateLost && strings.Contains(i.Reason, "volume shop_data is on "+home)
		})
		t.Log(find(s, "db", 1).Reason)
		b.cluster.Return(home)
		s = b.awaitUp("shop")
		if i := find(s, "db", 1); i.Host != home {
			t.Errorf("db is on %s, want %s, where its volume is", i.Host, home)
		}
	})
}

func TestDuplicatesOfAPartitionEndWhenItHeals(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(shop())
		b.awaitUp("shop")
		b.cluster.Partition("h1")
		b.await("shop", "up elsewhere", time.Minute, func(s api.Status) bool { return s.Up && nobodyOn(s, "h1") })
		if len(b.cluster.Running()) <= 5 {
			t.Error("no task runs on the host that was cut off: the test tests nothing")
		}
		b.cluster.Return("h1")
		time.Sleep(10 * time.Second)
		if running := b.cluster.Running(); len(running) != 5 {
			t.Errorf("these tasks run after the partition has healed: %v; want 5", running)
		}
		b.awaitUp("shop")
	})
}

func TestANeverReplacedInstanceWaitsForItsHost(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(edit(shop(), "db", func(s *app.Service) { s.NeverReplace = true }))
		home := find(b.awaitUp("shop"), "db", 1).Host
		b.cluster.Partition(home)
		time.Sleep(time.Minute)
		i := find(b.status("shop"), "db", 1)
		if i.State != api.StateLost || i.Generation != 1 || !strings.Contains(i.Reason, "never replaced") {
			t.Errorf("db is %+v, want its first task, lost, and the reason", i)
		}
		b.cluster.Return(home)
		if i := find(b.awaitUp("shop"), "db", 1); i.Generation != 1 {
			t.Errorf("db is %+v after the partition has healed, want its first task", i)
		}
	})
}

func TestARemovedFrameworkStartsOver(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(shop())
		b.awaitUp("shop")
		b.cluster.RemoveFramework()
		b.await("shop", "down", time.Minute, func(s api.Status) bool { return !s.Up })
		s := b.awaitUp("shop")
		for _, i := range s.Instances {
			if i.Generation != 2 {
				t.Errorf("the instance is %+v, want its second task", i)
			}
		}
		if snapshot, _ := b.f.Snapshot(); snapshot.Info.Framework != "F2" {
			t.Errorf("the framework ID is %s, want the new one, F2", snapshot.Info.Framework)
		}
	})
}

func TestAMastersRestartReplacesNothing(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(shop())
		b.awaitUp("shop")
		b.cluster.RestartMaster(5 * time.Second)
		time.Sleep(time.Minute)
		b.awaitUp("shop")
		if n := len(b.cluster.Launches()); n != 5 {
			t.Errorf("%d tasks were launched, want the first 5 only: %v", n, b.cluster.Launches())
		}
	})
}

func TestAnUpdateReplacesOneInstanceAtATime(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(shop())
		b.awaitUp("shop")
		if r := b.put(edit(shop(), "web", func(s *app.Service) { s.Image = "web:2" })); r != 2 {
			t.Errorf("the update has revision %d, want 2", r)
		}
		synctest.Wait()
		least := 3
		for s := b.status("shop"); !s.Up; s = b.status("shop") {
			up := 0
			for _, i := range s.Instances {
				if i.Service == "web" && i.State == api.StateUp {
					up++
				}
			}
			least = min(least, up)
			time.Sleep(10 * time.Millisecond)
		}
		if least != 2 {
			t.Errorf("the fewest web instances that were up at a time are %d, want 2", least)
		}
		s := b.status("shop")
		for n := 1; n <= 3; n++ {
			if i := find(s, "web", n); i.Generation != 2 {
				t.Errorf("the instance is %+v, want its second task", i)
			}
		}
		if i := find(s, "db", 1); i.Generation != 1 {
			t.Errorf("db was replaced although it did not change: %+v", i)
		}
	})
}

func TestAnUpdateThatFailsReplacesOneInstanceOnly(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"web:2": {Start: 100 * time.Millisecond, Run: 50 * time.Millisecond, Exit: 3},
	})}
	in(t, options, func(b *bed) {
		b.put(shop())
		b.awaitUp("shop")
		b.put(edit(shop(), "web", func(s *app.Service) { s.Image = "web:2" }))
		b.await("shop", "failed", time.Minute, func(s api.Status) bool { return s.Failed != "" })
		time.Sleep(5 * time.Minute)
		s := b.status("shop")
		if find(s, "web", 2).Generation != 1 || find(s, "web", 3).Generation != 1 || find(s, "web", 2).State != api.StateUp {
			t.Errorf("web.2 and web.3 should be untouched and up:\n%s", show(s))
		}
		b.put(shop())
		s = b.awaitUp("shop")
		if find(s, "web", 2).Generation != 1 {
			t.Errorf("web.2 was replaced when the update was taken back:\n%s", show(s))
		}
	})
}

func TestScalingUpAndDown(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		for _, replicas := range []int{3, 7, 2, 0, 4} {
			b.put(edit(shop(), "web", func(s *app.Service) { s.Replicas = replicas }))
			synctest.Wait()
			s := b.awaitUp("shop")
			if len(s.Instances) != replicas+2 || len(b.cluster.Running()) != replicas+2 {
				t.Errorf("web was scaled to %d; running are %v:\n%s", replicas, b.cluster.Running(), show(s))
			}
		}
	})
}

func TestATakenPortFailsTheApp(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		publish := func(s *app.Service) {
			s.Ports = []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}}
			s.Constraints = []app.Constraint{{Attribute: "hostname", Op: "==", Value: "h1"}}
		}
		other := edit(shop(), "cache", publish)
		other.Name = "other"
		b.put(other)
		b.awaitUp("other")
		b.put(edit(shop(), "web", publish))
		s := b.await("shop", "failed", time.Minute, func(s api.Status) bool { return s.Failed != "" })
		if want := "host port 8080/tcp taken by other/cache"; !strings.Contains(s.Failed, want) {
			t.Errorf("the app failed for %q, want it to say %q", s.Failed, want)
		}
		b.put(edit(shop(), "web", func(s *app.Service) {
			s.Ports = []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}}
		}))
		b.awaitUp("shop")
	})
}

// Replicas share a published port, so that the replicas of a dead host fit on the others.
func TestReplicasShareAPort(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(edit(shop(), "web", func(s *app.Service) {
			s.Replicas, s.Ports = 4, []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}}
		}))
		s := b.awaitUp("shop")
		on := map[string]int{}
		for _, i := range s.Instances {
			if i.Service == "web" {
				on[i.Host]++
			}
		}
		if len(on) != 3 {
			t.Errorf("web is on the hosts %v, want all three", on)
		}
	})
}

func TestAHostWithoutALinkerGetsNoTasks(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.cluster.StopLinker("h2")
		time.Sleep(time.Second)
		b.put(shop())
		if s := b.awaitUp("shop"); !nobodyOn(s, "h2") {
			t.Errorf("a task was launched on h2, whose linker is down:\n%s", show(s))
		}
		b.put(edit(shop(), "web", func(s *app.Service) {
			s.Constraints = []app.Constraint{{Attribute: "hostname", Op: "==", Value: "h2"}}
		}))
		b.await("shop", "waiting for a linker", time.Minute, func(s api.Status) bool {
			return strings.Contains(find(s, "web", 1).Reason, "linker of h2 is down")
		})
		b.cluster.StartLinker("h2")
		b.awaitUp("shop")
	})
}

func TestAGlobalServiceRunsOnEveryHost(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(edit(shop(), "cache", func(s *app.Service) { s.Global, s.Replicas = true, 0 }))
		b.await("shop", "everywhere", time.Minute, func(s api.Status) bool {
			on := map[string]bool{}
			for _, i := range s.Instances {
				if i.Service == "cache" && i.State == api.StateUp {
					on[i.Host] = true
				}
			}
			return len(on) == 3 && s.Up
		})
	})
}

func TestAServiceWaitsForACompletedDependency(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"db:1": {Start: time.Second, Run: 5 * time.Second},
	})}
	in(t, options, func(b *bed) {
		a := edit(shop(), "db", func(s *app.Service) { s.Restart.Condition = app.RestartNone })
		a = edit(a, "web", func(s *app.Service) {
			s.DependsOn = map[string]app.Dependency{"db": {Condition: app.Completed}}
		})
		b.put(a)
		s := b.awaitUp("shop")
		if i := find(s, "db", 1); i.State != api.StateDone {
			t.Errorf("db is %+v, want it done", i)
		}
	})
}

func find(s api.Status, service string, slot int) api.Instance {
	for _, i := range s.Instances {
		if i.Service == service && i.Slot == slot {
			return i
		}
	}
	return api.Instance{}
}

func nobodyOn(s api.Status, host string) bool {
	return !slices.ContainsFunc(s.Instances, func(i api.Instance) bool { return i.Host == host })
}

// A host that comes back with another agent has none of its earlier tasks, so their ports
// are free.
func TestTasksOfAReplacedAgentAreDropped(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		onH1 := func(s *app.Service) {
			s.Ports = []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}}
			s.Constraints = []app.Constraint{{Attribute: "hostname", Op: "==", Value: "h1"}}
		}
		b.put(edit(shop(), "db", func(s *app.Service) { onH1(s); s.NeverReplace = true }))
		b.awaitUp("shop")
		b.cluster.KillHost("h1")
		b.await("shop", "lost", time.Minute, func(s api.Status) bool { return find(s, "db", 1).State == api.StateLost })
		b.cluster.ReturnAnew("h1")
		b.put(edit(edit(shop(), "cache", onH1), "db", func(s *app.Service) { s.NeverReplace = true }))
		if i := find(b.awaitUp("shop"), "cache", 1); i.Host != "h1" {
			t.Errorf("cache is %+v, want it on h1, where the lost task had its port", i)
		}
	})
}
