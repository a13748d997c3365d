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

func TestTheLastOfSeveralPutsWins(t *testing.T) {
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
			t.Errorf("revision %d is up, want the last one, %d", s.Revision, last)
		}
		time.Sleep(time.Minute)
		if running := b.cluster.Running(); len(running) != 5 {
			t.Errorf("these tasks run: %v; want 5", running)
		}
	})
}

func TestCommandsThatAreRefused(t *testing.T) {
	options := frameworktest.Options{Behave: func(mesos.TaskInfo) frameworktest.Behaviour {
		return frameworktest.Behaviour{Start: time.Second, Stop: 5 * time.Second}
	}}
	in(t, options, func(b *bed) {
		if err := b.f.DeleteApp(b.t.Context(), "shop", false); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("deleting an app that does not exist returned %v, want ErrNotFound", err)
		}
		if _, err := b.f.PutApp(b.t.Context(), app.App{Name: "shop"}); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("putting an app without services returned %v, want ErrInvalid", err)
		}
		b.put(shop())
		b.awaitUp("shop")
		b.remove("shop")
		if _, err := b.f.PutApp(b.t.Context(), shop()); !errors.Is(err, api.ErrConflict) {
			t.Errorf("putting an app that is being removed returned %v, want ErrConflict", err)
		}
		if err := b.f.DeleteApp(b.t.Context(), "shop", false); err != nil {
			t.Errorf("deleting an app a second time returned %v, want nil", err)
		}
		b.awaitGone("shop")
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
		defer cancel()
		if _, err := b.f.PutApp(ctx, shop()); !errors.Is(err, api.ErrUnavailable) {
			t.Errorf("putting an app without a running framework returned %v, want ErrUnavailable", err)
		}
		b.start()
	})
}

// Every host serves an ingress port, so no other app can have it on any host. Neither can an
// instance take it.
func TestIngressPortsBelongToOneApp(t *testing.T) {
	web := func(name string, port app.Port) app.App {
		a := edit(shop(), "web", func(s *app.Service) { s.Ports = []app.Port{port} })
		a.Name = name
		return a
	}
	ingress := app.Port{Host: 8080, Target: 80, Proto: "tcp", Mode: app.ModeIngress}
	ordinary := app.Port{Host: 8080, Target: 80, Proto: "tcp"}
	in(t, frameworktest.Options{}, func(b *bed) {
		put := func(a app.App) error {
			_, err := b.f.PutApp(b.t.Context(), a)
			return err
		}
		b.put(web("one", ingress))
		b.awaitUp("one")
		for name, port := range map[string]app.Port{"two": ingress, "three": ordinary} {
			if err := put(web(name, port)); !errors.Is(err, api.ErrConflict) || !strings.Contains(err.Error(), "8080/tcp is published by one/web") {
				t.Errorf("an app with the port %+v: %v, want a conflict with one/web", port, err)
			}
		}
		udp := ordinary
		udp.Proto = "udp"
		if err := put(web("four", udp)); err != nil {
			t.Errorf("an app with another port is refused: %v", err)
		}
		if err := put(web("one", ordinary)); err != nil {
			t.Errorf("an app cannot change the mode of its own port: %v", err)
		}
		b.awaitUp("one")
	})
}

func TestPuttingAFailedAppAgainRetriesAtOnce(t *testing.T) {
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
		time.Sleep(10 * time.Minute) // the back-off is long now
		mu.Lock()
		mended = true
		mu.Unlock()
		if again := b.put(shop()); again != revision {
			t.Errorf("putting the same app gave revision %d, want %d as before", again, revision)
		}
		if s := b.status("shop"); s.Failed != "" {
			t.Errorf("the app still counts as failed after it was put again: %s", s.Failed)
		}
		b.await("shop", "up soon", 5*time.Second, func(s api.Status) bool { return s.Up })
	})
}

func TestAVolumesHostIsForgottenOnRequestOnly(t *testing.T) {
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
				t.Errorf("deleted with volumes=%v, put again without the volume's host: up is %v, want %v\n%s", volumes, s.Up, volumes, show(s))
			}
			b.cluster.StartLinker(home)
			b.awaitUp("shop")
		}
	})
}

// A framework removes an app while it can reach no linker, and ends. The next run takes
// the app out of the catalog.
func TestRecordsLeftByAnEarlierRunAreRemoved(t *testing.T) {
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
			t.Fatal("the app record was removed although no linker was up: the test tests nothing")
		}
		for _, name := range b.hosts {
			b.cluster.StartLinker(name)
		}
		b.start()
		time.Sleep(10 * time.Second)
		if r := b.cluster.AppRecord("shop"); !r.Deleted {
			t.Errorf("the app record is still there: %+v", r)
		}
	})
}

// A framework with an empty store overwrites the records that an earlier one has left of
// an app that both want, and leaves those of other apps alone.
func TestALostStoreDoesNotLoseToOldRecords(t *testing.T) {
	options := frameworktest.Options{Behave: func(mesos.TaskInfo) frameworktest.Behaviour {
		// The next framework kills the tasks of this one, because the simulated master tells it of
		// them. They end after it has seen them in a catalog.
		return frameworktest.Behaviour{Start: 200 * time.Millisecond, Stop: time.Second}
	}}
	in(t, options, func(b *bed) {
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
		b.cluster.RemoveFramework() // as after the failover timeout of the earlier one
		b.put(shop())
		b.awaitUp("shop")
		synctest.Wait()
		if r := b.cluster.AppRecord("shop"); !old.Less(r.Version) || r.App == nil {
			t.Errorf("the app record has version %+v, want one above %+v", r.Version, old)
		}
		if r := b.cluster.AppRecord("blog"); r.Deleted {
			t.Error("the record of an app that another framework owns was removed")
		}
	})
}

func TestLogsOfRunningAndEndedTasks(t *testing.T) {
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
				t.Errorf("the logs do not have %q:\n%s", want, all)
			}
		}
		got = nil
		if err := b.f.Logs(b.t.Context(), "shop", api.LogQuery{Service: "db", Slot: 1}, take); err != nil || len(got) != 2 {
			t.Errorf("the logs of db.1 are %v, %v; want two lines", got, err)
		}
		if err := b.f.Logs(b.t.Context(), "none", api.LogQuery{}, take); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("the logs of an app that does not exist: %v, want ErrNotFound", err)
		}
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
		defer cancel()
		got = nil
		if err := b.f.Logs(ctx, "shop", api.LogQuery{Follow: true, Service: "cache"}, take); err != nil {
			t.Error(err)
		}
		if len(got) < 4 {
			t.Errorf("the followed logs of a service that restarts are %q, want those of several tasks", got)
		}
	})
}

// Followed logs continue when the linker that shows them is back, and repeat no line.
func TestFollowedLogsSurviveALinkersRestart(t *testing.T) {
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
				t.Errorf("%q came %d times, want once: %v", want, lines[want], lines)
			}
		}
	})
}
