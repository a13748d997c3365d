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
			t.Errorf("revision %d, want 1", revision)
		}
		synctest.Wait()
		if r := b.cluster.AppRecord("shop"); r.App == nil || r.App.Services["db"].ContainerName != "shop-db" || r.App.Services["db"].Hostname != "store" {
			t.Errorf("names that are known before any instance is: %+v", r.App)
		}
		s := b.awaitUp("shop")
		hosts := map[string]bool{}
		for _, i := range s.Instances {
			if i.State != api.StateUp || i.Address == "" || i.Container == "" || i.Host == "" {
				t.Errorf("instance %+v", i)
			}
			if i.Service == "web" {
				hosts[i.Host] = true
			}
		}
		if len(s.Instances) != 5 || len(hosts) != 3 {
			t.Errorf("%d instances, web on %d hosts:\n%s", len(s.Instances), len(hosts), show(s))
		}
		launches := b.cluster.Launches()
		for _, id := range launches[:2] {
			if strings.Contains(id, ".web.") {
				t.Errorf("web before what it depends on: %v", launches)
			}
		}
		if r := b.cluster.AppRecord("shop"); r.App == nil || r.App.Services["web"].Generations[3] != 1 {
			t.Errorf("app record %+v", r)
		}
		if again := b.put(shop()); again != 1 {
			t.Errorf("the same app got revision %d", again)
		}
		b.remove("shop")
		b.awaitGone("shop")
		if left := b.cluster.Running(); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
		synctest.Wait()
		if r := b.cluster.AppRecord("shop"); !r.Deleted {
			t.Errorf("app record after down: %+v", r)
		}
		b.put(shop())
		b.awaitUp("shop")
	})
}
