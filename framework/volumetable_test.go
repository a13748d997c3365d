package framework_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/frameworktest"
)

func TestAVolumeThatIsUsedIsNotRemovedAndOneThatIsNotIs(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(withData(app.Volume{Name: "shop_data"}))
		home := find(b.awaitUp("shop"), "db", 1).Host
		list, err := b.f.ListVolumes(b.t.Context())
		want := []api.Volume{{Name: "shop_data", App: "shop", Host: home, HostUp: true, UsedBy: []string{"shop/db.1"}}}
		if diff := cmp.Diff(want, list); diff != "" || err != nil {
			t.Fatalf("volumes, error %v (-want +got):\n%s", err, diff)
		}
		wantRefusal(t, "rm", "is used by shop/db.1")(b.f.RemoveVolume(b.t.Context(), "shop_data"))
		wantRefusal(t, "unpin", home+", which has volume shop_data, is there")(b.f.UnpinVolume(b.t.Context(), "shop_data"))
		if _, err := b.f.RemoveVolume(b.t.Context(), "other"); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("rm of a volume that nobody has returned %v, want that it is not found", err)
		}
		b.remove("shop")
		b.awaitGone("shop")
		b.cluster.BreakEngine(home, true)
		if _, err := b.f.RemoveVolume(b.t.Context(), "shop_data"); !errors.Is(err, api.ErrUnavailable) {
			t.Errorf("rm while the Engine does not answer returned %v, want that it is unavailable", err)
		}
		b.cluster.BreakEngine(home, false)
		if v, err := b.f.RemoveVolume(b.t.Context(), "shop_data"); err != nil || v.Host != home {
			t.Errorf("rm returned %+v, %v, want success on %s", v, err, home)
		}
		if list, err := b.f.ListVolumes(b.t.Context()); len(list) > 0 || err != nil {
			t.Errorf("after rm there are %v, %v, want none", list, err)
		}
	})
}

func TestTheVolumeOfAHostThatIsGoneIsFreed(t *testing.T) {
	in(t, frameworktest.Options{}, func(b *bed) {
		b.put(withData(app.Volume{Name: "shop_data"}))
		home := find(b.awaitUp("shop"), "db", 1).Host
		b.cluster.KillHost(home)
		b.await("shop", "db waits for its volume", 2*time.Minute, func(s api.Status) bool {
			return strings.Contains(find(s, "db", 1).Reason, "volume shop_data")
		})
		wantRefusal(t, "rm", "if it is gone for good: tombolo volume unpin shop_data")(b.f.RemoveVolume(b.t.Context(), "shop_data"))
		v, err := b.f.UnpinVolume(b.t.Context(), "shop_data")
		if err != nil || v.Host != home || len(v.UsedBy) != 1 {
			t.Errorf("unpin returned %+v, %v, want success for db on %s", v, err, home)
		}
		b.await("shop", "db elsewhere", time.Minute, func(s api.Status) bool { return s.Up && nobodyOn(s, home) })
	})
}

func wantRefusal(t *testing.T, what, text string) func(api.Volume, error) {
	return func(_ api.Volume, err error) {
		t.Helper()
		if !errors.Is(err, api.ErrConflict) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s returned %v, want a conflict that says %q", what, err, text)
		}
	}
}
