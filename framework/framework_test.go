package framework_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
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

// bed is a framework on a simulated cluster. It can be ended and started again.
type bed struct {
	t       *testing.T
	cluster *frameworktest.Cluster
	memory  *storetest.Memory
	hosts   []string

	f    *framework.Framework
	stop func() error
}

func newBed(t *testing.T, options frameworktest.Options) *bed {
	if len(options.Hosts) == 0 {
		options.Hosts = []string{"h1", "h2", "h3"}
	}
	b := &bed{t: t, memory: storetest.NewMemory(), hosts: options.Hosts}
	options.Stored = func(id string) bool { return b.memory.Written("tasks/" + id) }
	b.cluster = frameworktest.New(options)
	return b
}

// start starts a framework. The test ends it with stop, which returns the error of Run.
func (b *bed) start() {
	client := b.cluster.Client()
	linkers := map[string]framework.Linker{}
	for _, name := range b.hosts {
		l := b.cluster.Linker(name)
		linkers[name] = framework.Linker{Catalog: l, Recorder: l, Logs: l, Engine: l, Volumes: l}
	}
	b.f = framework.New(framework.Config{Master: client, Store: store.New(b.memory), Linkers: linkers, Log: testLog()})
	client.Disconnected = b.f.Disconnected
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.f.Run(ctx) }()
	b.stop = func() error {
		cancel()
		return <-done
	}
}

func testLog() *slog.Logger {
	if os.Getenv("TOMBOLO_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// in runs fn in a synctest bubble with a started framework. At the end it fails the test
// if the framework has done something forbidden.
func in(t *testing.T, options frameworktest.Options, fn func(*bed)) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, options)
		b.start()
		fn(b)
		if err := b.stop(); err != nil {
			t.Errorf("Run returned %v, want nil", err)
		}
		for _, v := range b.cluster.Violations() {
			t.Error(v)
		}
	})
}

func (b *bed) put(a app.App) uint64 {
	b.t.Helper()
	b.cluster.Allow(a.Name)
	revision, err := b.f.PutApp(b.t.Context(), a)
	if err != nil {
		b.t.Fatalf("put %s: %v", a.Name, err)
	}
	return revision
}

func (b *bed) remove(name string) {
	b.t.Helper()
	if err := b.f.DeleteApp(b.t.Context(), name, false); err != nil {
		b.t.Fatalf("delete %s: %v", name, err)
	}
	var stored []string
	for _, key := range b.memory.Keys("tasks/" + name + ".") {
		stored = append(stored, strings.TrimPrefix(key, "tasks/"))
	}
	b.cluster.Forbid(name, stored)
}

func (b *bed) status(name string) api.Status {
	if snapshot, _ := b.f.Snapshot(); snapshot != nil {
		shown, _ := snapshot.Apps.Get(name)
		return shown.Status
	}
	return api.Status{}
}

// await waits until ok accepts the status of the app; what names that state.
func (b *bed) await(name, what string, within time.Duration, ok func(api.Status) bool) api.Status {
	b.t.Helper()
	for end := time.Now().Add(within); ; {
		_, changed := b.f.Snapshot()
		if s := b.status(name); ok(s) {
			return s
		}
		select {
		case <-changed:
		case <-time.After(time.Until(end)):
			b.t.Fatalf("app %s is not %s after %v:\n%s", name, what, within, show(b.status(name)))
		}
	}
}

func (b *bed) awaitUp(name string) api.Status {
	b.t.Helper()
	return b.await(name, "up", 2*time.Minute, func(s api.Status) bool { return s.Up })
}

func (b *bed) awaitGone(name string) {
	b.t.Helper()
	b.await(name, "gone", 2*time.Minute, func(s api.Status) bool { return s.App == "" })
}

func show(s api.Status) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s revision %d up %v failed %q\n", s.App, s.Revision, s.Up, s.Failed)
	for _, i := range s.Instances {
		fmt.Fprintf(&out, "  %s.%d g%d %s %s %q\n", i.Service, i.Slot, i.Generation, i.State, i.Host, i.Reason)
	}
	return out.String()
}

// shop is an app with three services. web starts when db and cache are healthy.
func shop() app.App {
	service := func(name string, replicas int, after ...string) app.Service {
		s := app.Service{
			Name: name, Image: name + ":1", Replicas: replicas,
			Networks: map[string][]string{"shop_default": nil}, Restart: app.Restart{Condition: app.RestartAny},
		}
		for _, d := range after {
			if s.DependsOn == nil {
				s.DependsOn = map[string]app.Dependency{}
			}
			s.DependsOn[d] = app.Dependency{Condition: app.Healthy}
		}
		return s
	}
	return app.App{Name: "shop", Services: map[string]app.Service{
		"db": service("db", 1), "cache": service("cache", 1), "web": service("web", 3, "db", "cache"),
	}}
}

// edit returns the app with one service changed.
func edit(a app.App, name string, fn func(*app.Service)) app.App {
	services := map[string]app.Service{}
	for n, s := range a.Services {
		services[n] = s
	}
	s := services[name]
	fn(&s)
	services[name] = s
	a.Services = services
	return a
}

func image(info mesos.TaskInfo) string { return info.Container.Docker.Image }

func behave(table map[string]frameworktest.Behaviour) func(mesos.TaskInfo) frameworktest.Behaviour {
	return func(info mesos.TaskInfo) frameworktest.Behaviour {
		if b, ok := table[image(info)]; ok {
			return b
		}
		return frameworktest.Behaviour{Start: 200 * time.Millisecond}
	}
}
