package linker

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/linker/catalog"
	"tombolo/linker/record"
)

func TestOverdue(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		met    bool
		window time.Duration // of an announced restart
		silent time.Duration
		want   bool
	}{
		{"died", true, 0, 0, true},
		{"not met yet", false, 0, firstContact - 1, false},
		{"not met in time", false, 0, firstContact, true},
		{"is restarting", true, 30 * time.Second, 30 * time.Second, false},
		{"takes too long to restart", true, 30 * time.Second, 30*time.Second + 1, true},
		{"has a clock that is a day ahead", true, 24 * time.Hour, longestRestart - 1, false},
		{"a day ahead, and longer gone", true, 24 * time.Hour, longestRestart, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &suspender{met: map[string]bool{"h2": tt.met}, silent: map[string]time.Time{}}
			h := &record.Host{Name: "h2"}
			if tt.window > 0 {
				h.Restart = now.Add(tt.window)
			}
			if s.silent["h2"] = now; s.overdue(h, now.Add(tt.silent)) != tt.want {
				t.Errorf("overdue = %v", !tt.want)
			}
		})
	}
}

func TestTombstonesAreSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := catalog.New("h1", 1)
		key := record.Key{Kind: record.KindEndpoint, Name: "ep"}
		if _, err := c.Put(record.Record{Key: key, Endpoint: &record.Endpoint{ID: "ep", Host: "h1"}}); err != nil {
			t.Fatal(err)
		}
		c.Delete(key)
		c.DrainOutbox() // peers have been told
		go func() { _ = collectTombstones(t.Context(), c) }()
		for _, step := range []struct {
			after time.Duration
			want  bool
		}{{tombstoneAge, true}, {2 * collectEvery, false}} {
			time.Sleep(step.after)
			if _, ok := c.Get(key); ok != step.want {
				t.Errorf("after %v more: tombstone is there: %v", step.after, ok)
			}
		}
	})
}

// A linker that restarts while a host is dead does not answer with that host's
// containers until it has missed it once more.
func TestSuspendedOverARestart(t *testing.T) {
	h := newTestHost(t, 12)
	h.start(t)
	eventually(t, "block used", func() bool { return h.block.Current() != nil })
	rival(t, h, netip.MustParsePrefix("100.64.9.0/24"), time.Now())
	suspended := func() bool { return h.catalog.Snapshot().Suspended["rival"] }
	eventually(t, "suspended as it is never met", suspended)
	eventually(t, "kept", func() bool { return len(h.state.get().Suspended) == 1 })
	h.stop()
	h.start(t)
	eventually(t, "block used", func() bool { return h.block.Current() != nil })
	if !suspended() || h.catalog.Snapshot().Hosts["rival"] == nil {
		t.Error("the restart revived a host")
	}
	h.stop()
}
