package framework_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/frameworktest"
)

func TestTwoUpsAtOnce(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		var group sync.WaitGroup
		revisions := make([]uint64, 8)
		for i := range revisions {
			group.Go(func() {
				a := edit(shop(), "web", func(s *app.Service) { s.Image = fmt.Sprintf("web:%d", i%2) })
				var err error
				if revisions[i], err = b.f.PutApp(b.t.Context(), a); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		last := slices.Max(revisions)
		s := b.awaitUp("shop")
		if s.Revision != last {
			t.Errorf("revision %d is up, the last was %d", s.Revision, last)
		}
		time.Sleep(time.Minute)
		if running := b.cluster.Running(); len(running) != 5 {
			t.Errorf("running %v", running)
		}
	})
}

func TestCommandsRefused(t *testing.T) {
	options := frameworktest.Options{Behave: func(mesos.TaskInfo) frameworktest.Behaviour {
		return frameworktest.Behaviour{Start: time.Second, Stop: 5 * time.Second}
	}}
	in(t, options, func(b *bed) {
		if err := b.f.DeleteApp(b.t.Context(), "shop", false); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("delete: %v", err)
		}
		if _, err := b.f.PutApp(b.t.Context(), app.App{Name: "shop"}); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("put: %v", err)
		}
		b.put(shop())
		b.awaitUp("shop")
		b.remove("shop")
		if _, err := b.f.PutApp(b.t.Context(), shop()); !errors.Is(err, api.ErrConflict) {
			t.Errorf("put while removing: %v", err)
		}
		if err := b.f.DeleteApp(b.t.Context(), "shop", false); err != nil {
			t.Errorf("delete again: %v", err)
		}
		b.awaitGone("shop")
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
		defer cancel()
		if _, err := b.f.PutApp(ctx, shop()); !errors.Is(err, api.ErrUnavailable) {
			t.Errorf("put that nobody hears: %v", err)
		}
		b.start()
	})
}

func TestAgainAfterFailure(t *testing.T) {
	var mu sync.Mutex
	mended := false
	options := frameworktest.Options{Behave: func(info mesos.TaskInfo) frameworktest.Behaviour {
		mu.Lock()
		defer mu.Unlock()
		if image(info) == "db:1" && !mended {
			return frameworktest.Behaviour{Start: 100 * time.Millisecond, Pull: "no such host"}
		}
		return frameworktest.Behaviour{Start: 100 * time.Millisecond}
	}}
	in(t, options, func(b *bed) {
		revision := b.put(shop())
		b.await("shop", "failed", time.Minute, func(s api.Status) bool { return s.Failed != "" })
		time.Sleep(10 * time.Minute) // the pauses are long now
		mu.Lock()
		mended = true
		mu.Unlock()
		if again := b.put(shop()); again != revision {
			t.Errorf("revision %d, was %d", again, revision)
		}
		if s := b.status("shop"); s.Failed != "" {
			t.Errorf("whoever puts it again is told at once: %s", s.Failed)
		}
		b.await("shop", "up soon", 5*time.Second, func(s api.Status) bool { return s.Up })
	})
}

func TestVolumesForgotten(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		a := edit(shop(), "db", func(s *app.Service) {
			s.Mounts = []app.Mount{{Type: app.MountVolume, Source: "shop_data", Target: "/data"}}
		})
		a.Volumes = map[string]app.Volume{"data": {Name: "shop_data"}}
		b.put(a)
		home := find(b.awaitUp("shop"), "db", 1).Host
		for _, volumes := range []bool{false, true} {
			if err := b.f.DeleteApp(b.t.Context(), "shop", volumes); err != nil {
				t.Fatal(err)
			}
			b.awaitGone("shop")
			b.cluster.StopLinker(home)
			time.Sleep(time.Second)
			b.put(a)
			time.Sleep(time.Minute)
			s := b.status("shop")
			if s.Up != volumes {
				t.Errorf("volumes %v, without the volume's host: %s", volumes, show(s))
			}
			b.cluster.StartLinker(home)
			b.awaitUp("shop")
		}
	})
}

// TestRemovedUnseen: what a framework removed while no linker could hear of it, the
// next one takes out of the catalog.
func TestRemovedUnseen(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(shop())
		b.awaitUp("shop")
		for _, name := range b.hosts {
			b.cluster.StopLinker(name)
		}
		time.Sleep(10 * time.Second)
		b.remove("shop")
		b.awaitGone("shop")
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		if b.cluster.AppRecord("shop").Deleted {
			t.Fatal("the linkers were told: the test tests nothing")
		}
		for _, name := range b.hosts {
			b.cluster.StartLinker(name)
		}
		b.start()
		time.Sleep(10 * time.Second)
		if r := b.cluster.AppRecord("shop"); !r.Deleted {
			t.Errorf("still there: %+v", r)
		}
	})
}

// TestStoreLost: a framework with an empty store writes over what an earlier one
// has left in the catalogs of the apps that it wants too, and kills what that one
// has left running.
func TestStoreLost(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(shop())
		b.awaitUp("shop")
		blog := shop()
		blog.Name = "blog"
		b.put(blog)
		b.awaitUp("blog")
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		old := b.cluster.AppRecord("shop").Version
		fresh := newBed(t, frameworktest.Options{})
		b.memory = fresh.memory
		b.start()
		synctest.Wait()
		b.cluster.RemoveFramework() // its timeout; the new one has no part in it
		b.put(shop())
		b.awaitUp("shop")
		synctest.Wait()
		if r := b.cluster.AppRecord("shop"); !old.Less(r.Version) || r.App == nil {
			t.Errorf("record %+v, was %+v", r.Version, old)
		}
		if r := b.cluster.AppRecord("blog"); r.Deleted {
			t.Error("the record of another framework's app was removed: it may live")
		}
	})
}

func TestLogs(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"cache:1": {Start: 100 * time.Millisecond, Run: 50 * time.Millisecond, Exit: 3},
	})}
	in(t, options, func(b *bed) {
		b.put(shop())
		b.await("shop", "failed", time.Minute, func(s api.Status) bool { return s.Failed != "" && find(s, "db", 1).State == api.StateUp })
		var got []string
		take := func(l api.LogLine) error {
			got = append(got, fmt.Sprintf("%s.%d %s", l.Service, l.Slot, l.Line))
			return nil
		}
		if err := b.f.Logs(b.t.Context(), "shop", api.LogQuery{}, take); err != nil {
			t.Error(err)
		}
		all := strings.Join(got, "\n")
		for _, want := range []string{"db.1 something is wrong", "cache.1 something is wrong"} {
			if !strings.Contains(all, want) {
				t.Errorf("%q is not in\n%s", want, all)
			}
		}
		got = nil
		if err := b.f.Logs(b.t.Context(), "shop", api.LogQuery{Service: "db", Slot: 1}, take); err != nil || len(got) != 2 {
			t.Errorf("%v, %v", got, err)
		}
		if err := b.f.Logs(b.t.Context(), "none", api.LogQuery{}, take); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
		defer cancel()
		got = nil
		if err := b.f.Logs(ctx, "shop", api.LogQuery{Follow: true, Service: "cache"}, take); err != nil {
			t.Error(err)
		}
		if len(got) < 4 {
			t.Errorf("following, a container that comes again and again said %q", got)
		}
	})
}

// What is followed goes on when the linker that shows it is back, and says nothing
// twice.
func TestLogsOverALinkersRestart(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(shop())
		home := find(b.awaitUp("shop"), "db", 1).Host
		ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Minute)
		defer cancel()
		lines := map[string]int{}
		done := make(chan error)
		go func() {
			done <- b.f.Logs(ctx, "shop", api.LogQuery{Follow: true, Service: "db"}, func(l api.LogLine) error {
				lines[l.Line]++
				return nil
			})
		}()
		time.Sleep(time.Second)
		b.cluster.StopLinker(home)
		b.cluster.Say("shop.db.1.g1", "nobody listens")
		time.Sleep(time.Minute)
		b.cluster.StartLinker(home)
		b.cluster.Say("shop.db.1.g1", "here I am again")
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, want := range []string{"something is wrong", "nobody listens", "here I am again"} {
			if lines[want] != 1 {
				t.Errorf("%q came %d times: %v", want, lines[want], lines)
			}
		}
	})
}
