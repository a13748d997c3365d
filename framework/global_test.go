package framework_test

import (
	"testing"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/frameworktest"
)

// A job that has ended on every host does not run again when a host leaves and returns,
// but a new version of it does.
func TestAGlobalJobRunsOnceOnEveryHost(t *testing.T) {
	once := frameworktest.Behaviour{Start: 100 * time.Millisecond, Run: time.Second}
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{"job:1": once, "job:2": once})}
	in(t, options, func(b *bed) {
		job := func(image string) app.App {
			return app.App{Name: "jobs", Services: map[string]app.Service{"job": {
				Name: "job", Image: image, Global: true, Restart: app.Restart{Condition: app.RestartNone},
			}}}
		}
		runs := func(want int) {
			t.Helper()
			time.Sleep(time.Minute)
			b.awaitUp("jobs")
			if got := b.cluster.Launches(); len(got) != want {
				t.Errorf("%d tasks were launched so far, want %d: %v", len(got), want, got)
			}
		}
		b.put(job("job:1"))
		runs(3)
		b.cluster.StopLinker("h2")
		runs(3)
		b.cluster.StartLinker("h2")
		runs(3)
		b.cluster.RestartMaster(5 * time.Second)
		runs(3)
		b.cluster.StopLinker("h2")
		time.Sleep(time.Minute)
		b.put(job("job:2"))
		runs(5)
		b.cluster.StartLinker("h2")
		runs(6)
	})
}

func TestAGlobalServiceReachesHostsThatJoinLater(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.cluster.KillHost("h3")
		time.Sleep(time.Minute)
		a := app.App{Name: "agents", Services: map[string]app.Service{"agent": {
			Name: "agent", Image: "agent:1", Global: true, Restart: app.Restart{Condition: app.RestartAny},
		}}}
		b.put(a)
		if s := b.awaitUp("agents"); len(s.Instances) != 2 {
			t.Errorf("want an instance on each of two hosts:\n%s", show(s))
		}
		time.Sleep(time.Hour)
		b.cluster.Return("h3")
		b.await("agents", "on three hosts", time.Minute, func(s api.Status) bool { return s.Up && len(s.Instances) == 3 })
	})
}
