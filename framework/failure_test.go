package framework_test

import (
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/frameworktest"
)

// A user corrects the file after a failed `up`. The instance that the correction replaces is
// still unhealthy at that moment, and may need long to stop; the app has not failed again.
func TestTasksThatAreBeingReplacedDoNotFailTheApp(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"db:1": {Start: time.Second, Unhealthy: 3 * time.Second, Stop: 20 * time.Second},
		"db:2": {Start: time.Second, Healthy: 3 * time.Second},
	})}
	in(t, options, func(b *bed) {
		b.put(shop())
		b.await("shop", "failed", 20*time.Second, func(s api.Status) bool { return s.Failed != "" })
		b.put(edit(shop(), "db", func(s *app.Service) { s.Image = "db:2" }))
		b.await("shop", "up", time.Minute, func(s api.Status) bool {
			if s.Failed != "" {
				t.Fatalf("the app counts as failed while it comes up: %s", show(s))
			}
			return s.Up
		})
	})
}

// A user mends a cause outside of the file, or in another service, and puts the app again. An
// instance that is unhealthy gets as long to recover as one that has just become unhealthy.
func TestAnUnhealthyInstanceGetsTimeAfterEachPut(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"db:1": {Start: time.Second, Unhealthy: 3 * time.Second},
	})}
	in(t, options, func(b *bed) {
		b.put(shop())
		b.await("shop", "failed", 20*time.Second, func(s api.Status) bool { return s.Failed != "" })
		began := time.Now()
		b.put(shop())
		if s := b.status("shop"); s.Failed != "" {
			t.Errorf("the app counts as failed as soon as it is put again: %s", show(s))
		}
		b.await("shop", "failed", 20*time.Second, func(s api.Status) bool { return s.Failed != "" })
		if waited := time.Since(began); waited < 9*time.Second {
			t.Errorf("the app counts as failed %v after it was put again, want about 10s", waited)
		}
	})
}

// front is a proxy that ends when it does not find its upstream, as nginx does, and the
// upstream, which takes a minute to become healthy.
func front(change func(*app.App)) app.App {
	service := func(name string) app.Service {
		return app.Service{
			Name: name, Image: name + ":1", Replicas: 1,
			Networks: map[string][]string{"front_default": nil}, Restart: app.Restart{Condition: app.RestartAny},
		}
	}
	a := app.App{Name: "front", Services: map[string]app.Service{"proxy": service("proxy"), "api": service("api")}}
	change(&a)
	return a
}

func TestAnAppFailsOnlyWhenNothingIsLeftToWaitFor(t *testing.T) {
	edited := func(name string, fn func(*app.Service)) func(*app.App) {
		return func(a *app.App) { *a = edit(*a, name, fn) }
	}
	upstreamReady := 60 * time.Second
	for _, c := range []struct {
		name     string
		app      func(*app.App)
		recovers bool // the proxy runs once its upstream is healthy
		never    bool // the upstream ends again and again as well
		fails    string
		soon     bool // the app fails before the upstream is healthy
	}{
		{name: "the upstream starts slowly", app: func(*app.App) {}, recovers: true},
		{name: "the upstream starts slowly, but is not the cause", app: func(*app.App) {}, fails: "proxy.1: exited with status 1, "},
		{
			name: "the upstream is of no concern to the proxy", soon: true, fails: "proxy.1: exited with status 1, 3 times in a row",
			app: edited("api", func(s *app.Service) { s.Networks = map[string][]string{"front_other": nil} }),
		},
		{
			name: "the proxy is not restarted", soon: true, fails: "proxy.1: exited with status 1",
			app: edited("proxy", func(s *app.Service) { s.Restart.Condition = app.RestartNone }),
		},
		{name: "the upstream ends again and again, too", app: func(*app.App) {}, never: true, soon: true, fails: ", 3 times in a row"},
		{
			name: "the upstream waits for the proxy", soon: true, fails: "proxy.1: exited with status 1, 3 times in a row",
			app: edited("api", func(s *app.Service) {
				s.DependsOn = map[string]app.Dependency{"proxy": {Condition: app.Healthy}}
			}),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var began time.Time
			options := frameworktest.Options{Behave: func(info mesos.TaskInfo) frameworktest.Behaviour {
				switch {
				case image(info) == "api:1" && c.never:
					return frameworktest.Behaviour{Start: 200 * time.Millisecond, Run: time.Second, Exit: 1}
				case image(info) == "api:1":
					return frameworktest.Behaviour{Start: 200 * time.Millisecond, Healthy: upstreamReady}
				case c.recovers && time.Since(began) > upstreamReady:
					return frameworktest.Behaviour{Start: 200 * time.Millisecond}
				}
				return frameworktest.Behaviour{Start: 200 * time.Millisecond, Run: 300 * time.Millisecond, Exit: 1}
			}}
			in(t, options, func(b *bed) {
				began = time.Now()
				b.put(front(c.app))
				said := false
				s := b.await("front", "up or failed", 5*time.Minute, func(s api.Status) bool {
					said = said || strings.Contains(find(s, "proxy", 1).Reason, "api.1 is still starting")
					return s.Up || s.Failed != ""
				})
				if !strings.Contains(s.Failed, c.fails) || c.fails == "" && s.Failed != "" {
					t.Errorf("the app failed for %q, want %q", s.Failed, c.fails)
				}
				if took := time.Since(began); c.soon != (took < 30*time.Second) {
					t.Errorf("the app failed or was up after %v; want before 30s: %v", took, c.soon)
				}
				if said == c.soon && !c.never {
					t.Errorf("a reason named what is still starting: %v, want %v", said, !c.soon)
				}
				b.remove("front")
				b.awaitGone("front")
			})
		})
	}
}
