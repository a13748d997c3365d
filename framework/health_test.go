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

// What never gets healthy fails the app, and those who wait for it are named. It
// is replaced, less and less often.
func TestNeverHealthy(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"db:1": {Start: time.Second, Unhealthy: 3 * time.Second},
	})}
	in(t, options, func(b *bed) {
		b.put(shop())
		s := b.await("shop", "failed", 20*time.Second, func(s api.Status) bool { return s.Failed != "" })
		if want := "db.1 is unhealthy, and web waits for it"; s.Failed != want {
			t.Errorf("failed %q, want %q", s.Failed, want)
		}
		if i := find(s, "db", 1); i.State != api.StateUnhealthy || i.Generation != 1 {
			t.Errorf("db %+v", i)
		}
		s = b.await("shop", "failed again and again", 10*time.Minute, func(s api.Status) bool {
			return strings.Contains(s.Failed, "was unhealthy, 3 times in a row")
		})
		if i := find(s, "db", 1); len(i.Log) == 0 || i.Restarts != 3 {
			t.Errorf("db %+v", i)
		}
		b.remove("shop")
		b.awaitGone("shop")
	})
}

// What was well and turns unhealthy is replaced after a while, one at a time.
func TestUnhealthyIsReplaced(t *testing.T) {
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
		b.await("shop", "sick", time.Minute, func(s api.Status) bool { return find(s, "web", 1).State == api.StateUnhealthy })
		began := time.Now()
		b.await("shop", "whole", 5*time.Minute, func(s api.Status) bool {
			if n := stopping(s); n > 1 {
				t.Fatalf("%d end at once:\n%s", n, show(s))
			} else if n == 1 && first {
				first = false
				if waited := time.Since(began); waited < deploy.UnhealthyTimeout-time.Second || waited > deploy.UnhealthyTimeout+time.Second {
					t.Errorf("the first is replaced after %v", waited)
				}
			}
			return s.Up
		})
		if first {
			t.Error("nothing was seen to end")
		}
		s := b.status("shop")
		for n := 1; n <= 3; n++ {
			if i := find(s, "web", n); i.Generation != 2 {
				t.Errorf("instance %+v", i)
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
