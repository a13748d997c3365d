package framework_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/frameworktest"
)

func TestUpAndDown(t *testing.T) {
	healthy := frameworktest.Behaviour{Start: time.Second, Healthy: 3 * time.Second}
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{"db:1": healthy})}
	in(t, options, func(b *bed) {
		shop := func() app.App {
			return edit(shop(), "db", func(s *app.Service) { s.ContainerName, s.Hostname = "shop-db", "store" })
		}
		if revision := b.put(shop()); revision != 1 {
			t.Errorf("the first put has revision %d, want 1", revision)
		}
		synctest.Wait()
		if r := b.cluster.AppRecord("shop"); r.App == nil || r.App.Services["db"].ContainerName != "shop-db" || r.App.Services["db"].Hostname != "store" {
			t.Errorf("the app record before any instance is up lacks the names of db: %+v", r.App)
		}
		s := b.awaitUp("shop")
		hosts := map[string]bool{}
		for _, i := range s.Instances {
			if i.State != api.StateUp || i.Address == "" || i.Container == "" || i.Host == "" {
				t.Errorf("the instance is %+v, want it up with address, container and host", i)
			}
			if i.Service == "web" {
				hosts[i.Host] = true
			}
		}
		if len(s.Instances) != 5 || len(hosts) != 3 {
			t.Errorf("there are %d instances, with web on %d hosts; want 5, with web on 3:\n%s", len(s.Instances), len(hosts), show(s))
		}
		launches := b.cluster.Launches()
		for _, id := range launches[:2] {
			if strings.Contains(id, ".web.") {
				t.Errorf("web was launched before its dependencies: %v", launches)
			}
		}
		if r := b.cluster.AppRecord("shop"); r.App == nil || r.App.Services["web"].Generations[3] != 1 {
			t.Errorf("the app record is %+v, want generation 1 of web.3 in it", r)
		}
		if again := b.put(shop()); again != 1 {
			t.Errorf("putting the same app gave revision %d, want 1 as before", again)
		}
		b.remove("shop")
		b.awaitGone("shop")
		if left := b.cluster.Running(); len(left) > 0 {
			t.Errorf("these tasks run after the app was removed: %v", left)
		}
		synctest.Wait()
		if r := b.cluster.AppRecord("shop"); !r.Deleted {
			t.Errorf("the app record after the removal is %+v, want a tombstone", r)
		}
		b.put(shop())
		b.awaitUp("shop")
	})
}
