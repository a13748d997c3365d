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

// withData returns the shop with a volume for its database.
func withData(v app.Volume) app.App {
	a := edit(shop(), "db", func(s *app.Service) {
		s.Mounts = []app.Mount{{Type: app.MountVolume, Source: v.Name, Target: "/data"}}
	})
	a.Volumes = map[string]app.Volume{"data": v}
	return a
}

// A volume is not tied to a host where its task never ran, because it has no data there.
func TestATaskThatNeverRanDoesNotTieItsVolume(t *testing.T) {
	var first string
	options := frameworktest.Options{Behave: func(info mesos.TaskInfo) frameworktest.Behaviour {
		b := frameworktest.Behaviour{Start: 200 * time.Millisecond}
		if image(info) != "db:1" {
			return b
		}
		if first == "" {
			first = info.AgentID.Value
		}
		if info.AgentID.Value == first {
			b.Pull = "no space left on device"
		}
		return b
	}}
	in(t, options, func(b *bed) {
		b.put(withData(app.Volume{Name: "shop_data"}))
		if i := find(b.awaitUp("shop"), "db", 1); i.Generation < 2 {
			t.Errorf("db is %+v, want a later task on another host", i)
		}
	})
}

func TestAVolumeOnANetworkFileSystemTiesNoTask(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(withData(app.Volume{Name: "shop_data", Options: map[string]string{"type": "nfs"}}))
		home := find(b.awaitUp("shop"), "db", 1).Host
		b.cluster.KillHost(home)
		time.Sleep(time.Second)
		b.await("shop", "elsewhere", time.Minute, func(s api.Status) bool { return s.Up && nobodyOn(s, home) })
	})
}

// Docker would make a new volume in place of one that was pruned. The database would start
// empty without a word.
func TestAServiceDoesNotStartWithoutTheDataOfItsVolume(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		data := withData(app.Volume{Name: "shop_data"})
		recreate := func() {
			if err := b.f.RecreateVolumes(b.t.Context(), "shop"); err != nil {
				t.Error(err)
			}
		}
		down := func() {
			b.remove("shop")
			b.awaitGone("shop")
		}
		b.put(data)
		home := find(b.awaitUp("shop"), "db", 1).Host
		down()
		b.put(data)
		if again := find(b.awaitUp("shop"), "db", 1).Host; again != home {
			t.Fatalf("db runs on %s, want %s, where its volume is", again, home)
		}
		down()
		b.cluster.Prune("shop_data")
		b.put(data)
		want := "db.1: volume shop_data is gone from " + home + ", and with an empty one the service would start without its data (to accept that: tombolo up --recreate-volumes)"
		s := b.await("shop", "refused", 5*time.Second, func(s api.Status) bool { return s.Failed != "" })
		if s.Failed != want || find(s, "db", 1).Task != "" {
			t.Errorf("the app failed for %q, want %q, and no task of db:\n%s", s.Failed, want, show(s))
		}
		time.Sleep(time.Minute)
		if running := b.cluster.Running(); len(running) != 1 { // the cache
			t.Errorf("these tasks run: %v, want the cache alone", running)
		}
		recreate()
		if s := b.status("shop"); s.Failed != "" {
			t.Errorf("the app counts as failed after the permission to make its volume anew: %s", show(s))
		}
		home = find(b.awaitUp("shop"), "db", 1).Host
		if !b.cluster.Has(home, "shop_data") {
			t.Errorf("db runs on %s without its volume", home)
		}

		// The permission was for that one time, and ends when the app is put again.
		recreate()
		down()
		b.put(data)
		b.awaitUp("shop")
		recreate() // a task uses the volume
		down()
		b.cluster.Prune("shop_data")
		b.put(data)
		b.await("shop", "refused", 5*time.Second, func(s api.Status) bool { return s.Failed != "" })
	})
}

// The volume can go while its service is up, but between two of its tasks.
func TestAnInstanceThatStartsAgainDoesNotLoseItsVolume(t *testing.T) {
	options := frameworktest.Options{Behave: behave(map[string]frameworktest.Behaviour{
		"db:1": {Start: 200 * time.Millisecond, Healthy: time.Second, Run: 20 * time.Second, Exit: 1},
	})}
	in(t, options, func(b *bed) {
		b.put(withData(app.Volume{Name: "shop_data"}))
		b.awaitUp("shop")
		b.cluster.Prune("shop_data")
		s := b.await("shop", "refused", time.Minute, func(s api.Status) bool { return s.Failed != "" })
		if i := find(s, "db", 1); !strings.HasPrefix(i.Reason, "volume shop_data is gone from ") {
			t.Errorf("db is %+v, want the reason that its volume is gone", i)
		}
	})
}

func TestAVolumeOfAHostWhoseEngineDoesNotAnswerIsNotReplaced(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		data := withData(app.Volume{Name: "shop_data"})
		b.put(data)
		home := find(b.awaitUp("shop"), "db", 1).Host
		b.remove("shop")
		b.awaitGone("shop")
		b.cluster.BreakEngine(home, true)
		b.put(data)
		b.await("shop", "held up", 10*time.Second, func(s api.Status) bool {
			return strings.Contains(find(s, "db", 1).Reason, "nobody can tell whether volume shop_data is still on "+home)
		})
		b.cluster.BreakEngine(home, false)
		b.awaitUp("shop")
	})
}
