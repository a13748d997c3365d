package linker

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

func TestOverdue(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		met     bool
		restart time.Duration // announced; 0: none
		silent  time.Duration
		want    bool
	}{
		{"a host that died", true, 0, 0, true},
		{"a host that was not met yet", false, 0, firstContact - 1, false},
		{"a host that was not met in time", false, 0, firstContact, true},
		{"a host that restarts", true, 30 * time.Second, 30*time.Second - 1, false},
		{"a host that takes too long to restart", true, 30 * time.Second, 30 * time.Second, true},
		{"a host that wants a day for its restart", true, 24 * time.Hour, longestRestart - 1, false},
		{"a host that wants a day for its restart and takes too long", true, 24 * time.Hour, longestRestart, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &suspender{met: map[string]gossip.Member{}, silent: map[string]time.Time{"h2": now}}
			if tt.met {
				s.met["h2"] = gossip.Member{Name: "h2"}
			}
			if s.overdue(&record.Host{Name: "h2", Restarting: tt.restart}, now.Add(tt.silent)) != tt.want {
				t.Errorf("overdue = %v after %s of silence, want %v", !tt.want, tt.silent, tt.want)
			}
		})
	}
}

// fakeGossip has one other member.
type fakeGossip struct {
	wake.Broadcast
	member atomic.Pointer[gossip.Member]
}

func (g *fakeGossip) Members() []gossip.Member                  { return []gossip.Member{*g.member.Load()} }
func (g *fakeGossip) Forget(string)                             {}
func (g *fakeGossip) Conflicts(time.Duration) []gossip.Conflict { return nil }

func TestHostsAreSuspendedWhileTheyDoNotAnswer(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		problems := problem.NewSet(slog.New(slog.DiscardHandler))
		state, err := openState(Config{StateDir: dir}, problems)
		if err != nil {
			t.Fatal(err)
		}
		g := &fakeGossip{}
		g.member.Store(&gossip.Member{})
		table := catalog.New("h1", 1)
		s := &suspender{
			self: "h1", gossip: g, catalog: table, state: state,
			names: nameConflicts{"h1", g, table, problems}, times: &hostTimes{}, log: slog.New(slog.DiscardHandler),
			met: map[string]gossip.Member{}, silent: map[string]time.Time{},
		}
		merge(t, s.catalog, record.Record{Key: record.Key{Kind: record.KindHost, Name: "h2"}, Owner: "h2", Version: record.Version{Epoch: 1, Seq: 1}, Host: &record.Host{Name: "h2"}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.run(ctx) }()
		turn := func(alive bool) {
			g.member.Store(&gossip.Member{Name: "h2", Addr: netip.MustParseAddrPort("198.18.0.2:7980"), Alive: alive})
			g.Notify()
			synctest.Wait()
		}
		for range 2 {
			turn(true)
			if s.catalog.Snapshot().Suspended["h2"] || len(state.get().Suspended) > 0 {
				t.Error("a host that answers is suspended")
			}
			turn(false)
			if !s.catalog.Snapshot().Suspended["h2"] || len(state.get().Suspended) != 1 {
				t.Error("a host that died is not suspended at once")
			}
		}
		if got := state.get().Members["h2"]; got != g.member.Load().Addr {
			t.Errorf("the state file has the address %s of the host, want %s", got, g.member.Load().Addr)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run returned %v after its context had ended, want nil", err)
		}
	})
}

func TestOldTombstonesAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := catalog.New("h1", 1)
		key := record.Key{Kind: record.KindEndpoint, Name: "ep"}
		if _, err := c.Put(record.Record{Key: key, Endpoint: &record.Endpoint{ID: "ep", Host: "h1"}}); err != nil {
			t.Fatal(err)
		}
		c.Delete(key)
		c.DrainOutbox() // as if peers had been told
		go func() { _ = collectTombstones(t.Context(), c) }()
		for _, step := range []struct {
			after time.Duration
			want  bool
		}{{tombstoneAge, true}, {2 * collectEvery, false}} {
			time.Sleep(step.after)
			if _, ok := c.Get(key, "h1"); ok != step.want {
				t.Errorf("after another %v the tombstone exists: %v, want %v", step.after, ok, step.want)
			}
		}
	})
}

// A linker that restarts while another host is dead keeps that host suspended. Otherwise
// DNS would give out the addresses of its containers for a while.
func TestHostsStaySuspendedOverARestart(t *testing.T) {
	h := newTestHost(t, 12)
	h.start(t)
	h.awaitBlock(t)
	addRival(t, h, netip.MustParsePrefix("100.64.9.0/24"), record.HoldSettled)
	suspended := func() bool { return h.catalog.Snapshot().Suspended["a-rival"] }
	eventually(t, "the host that never answers is suspended", suspended)
	eventually(t, "the state file names it", func() bool { return len(h.state.get().Suspended) == 1 })
	h.stop()
	h.start(t)
	h.awaitBlock(t)
	if !suspended() || h.catalog.Snapshot().Hosts["a-rival"] == nil {
		t.Error("after the restart the dead host is not suspended, or its record is lost")
	}
	h.stop()
}
