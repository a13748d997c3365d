package framework_test

import (
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/api"
	"tombolo/framework/deploy"
	"tombolo/framework/frameworktest"
)

// An instance that never becomes healthy fails the app, whose status names the services
// that wait for it. It is replaced again and again, with back-off.
func TestAnInstanceThatNeverBecomesHealthyFailsTheApp(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"db:1": {Start: time.Second, Unhealthy: 3 * time.Second},
	})}
	in(t, options, func(b *bed) {
		b.put(shop())
		s := b.await("shop", "failed", 20*time.Second, func(s api.Status) bool { return s.Failed != "" })
		if want := "db.1 is unhealthy, and web waits for it"; s.Failed != want {
			t.Errorf("the app failed for %q, want %q", s.Failed, want)
		}
		if i := find(s, "db", 1); i.State != api.StateUnhealthy || i.Generation != 1 {
			t.Errorf("db is %+v, want its first task, unhealthy", i)
		}
		s = b.await("shop", "failed again and again", 10*time.Minute, func(s api.Status) bool {
			return strings.Contains(s.Failed, "was unhealthy, 3 times in a row")
		})
		if i := find(s, "db", 1); len(i.Log) == 0 || i.Restarts != 3 {
			t.Errorf("db is %+v, want its output and 3 restarts", i)
		}
		b.remove("shop")
		b.awaitGone("shop")
	})
}

func TestUnhealthyInstancesAreReplacedOneAtATime(t *testing.T) {
	first := true
	options := frameworktest.Options{Behave: func(info mesos.TaskInfo) frameworktest.Behaviour {
		b := frameworktest.Behaviour{Start: time.Second, Healthy: time.Second, Stop: time.Second}
		if image(info) == "web:1" && strings.HasSuffix(info.TaskID.Value, ".g1") {
			b.Unhealthy = time.Minute
		}
		return b
	}}
	in(t, options, func(b *bed) {
		b.put(shop())
		b.awaitUp("shop")
		time.Sleep(time.Minute)
		b.await("shop", "unhealthy", time.Minute, func(s api.Status) bool { return find(s, "web", 1).State == api.StateUnhealthy })
		began := time.Now()
		b.await("shop", "up again", 5*time.Minute, func(s api.Status) bool {
			if n := stopping(s); n > 1 {
				t.Fatalf("%d instances are replaced at once, want one:\n%s", n, show(s))
			} else if n == 1 && first {
				first = false
				if waited := time.Since(began); waited < deploy.UnhealthyTimeout-time.Second || waited > deploy.UnhealthyTimeout+time.Second {
					t.Errorf("the first instance was replaced after %v, want %v", waited, deploy.UnhealthyTimeout)
				}
			}
			return s.Up
		})
		if first {
			t.Error("no instance was replaced")
		}
		s := b.status("shop")
		for n := 1; n <= 3; n++ {
			if i := find(s, "web", n); i.Generation != 2 {
				t.Errorf("the instance is %+v, want its second task", i)
			}
		}
	})
}

func stopping(s api.Status) (n int) {
	for _, i := range s.Instances {
		if i.State == api.StateStopping {
			n++
		}
	}
	return n
}

// The reason of an instance, the failure of its app and the end of a replaced instance show the
// output of the failing health check.
func TestTheOutputOfAFailingHealthCheckIsShown(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"db:1": {Start: time.Second, Unhealthy: 3 * time.Second, Check: "no response"},
	})}
	in(t, options, func(b *bed) {
		b.put(shop())
		s := b.await("shop", "failed", 20*time.Second, func(s api.Status) bool { return s.Failed != "" })
		if want := "db.1 is unhealthy, and web waits for it: its health check fails with status 1: no response"; s.Failed != want {
			t.Errorf("the app failed for %q, want %q", s.Failed, want)
		}
		if i := find(s, "db", 1); i.Reason != "its health check fails with status 1: no response" {
			t.Errorf("db is %+v, want the output of its check as the reason", i)
		}
		b.await("shop", "replacing", time.Minute, func(s api.Status) bool {
			return strings.HasPrefix(find(s, "db", 1).Reason, "was unhealthy: its health check fails with status 1: no response; starts again")
		})
	})
}

func TestAPausedContainerIsNamed(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(shop())
		b.awaitUp("shop")
		time.Sleep(time.Minute)
		b.cluster.Pause("shop.db.1.")
		b.await("shop", "not up", 15*time.Second, func(s api.Status) bool {
			return !s.Up && strings.HasPrefix(find(s, "db", 1).Reason, "its container is paused (to let it go on: docker unpause mesos-")
		})
	})
}
