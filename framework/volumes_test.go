package framework_test

import (
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
