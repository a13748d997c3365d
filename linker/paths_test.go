package linker

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/probe"
	"tombolo/linker/problem"
	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/overlay"
)

func TestWhatDoesNotPassIsNamed(t *testing.T) {
	h2 := netip.MustParseAddr("198.18.0.12")
	for name, tt := range map[string]struct {
		found []probe.Finding
		ready bool
		want  []string // parts of the status
	}{
		"nothing is found": {nil, true, nil},
		"no packet goes out": {[]probe.Finding{{Peer: "h2", Underlay: h2, Outgoing: true, Full: 1450}}, false,
			[]string{"no packet of any size from this host reaches h2", "UDP port 8480 is blocked from 198.18.0.11 to 198.18.0.12"}},
		"no packet comes in": {[]probe.Finding{{Peer: "h2", Underlay: h2, Full: 1450}}, false,
			[]string{"no packet of any size from h2 reaches this host", "UDP port 8480 is blocked from 198.18.0.12 to 198.18.0.11"}},
		"large packets do not go out": {[]probe.Finding{{Peer: "h2", Underlay: h2, Outgoing: true, MTU: 950, Full: 1450}}, true,
			[]string{"packets of more than 950 bytes to h2 do not arrive", "carry 1450", "from 198.18.0.11 to 198.18.0.12", "more than about 1000 bytes"}},
		"large packets do not come in": {[]probe.Finding{{Peer: "h2", Underlay: h2, MTU: 950, Full: 1450}}, true,
			[]string{"packets of more than 950 bytes from h2 do not arrive", "from 198.18.0.12 to 198.18.0.11, UDP port 8480"}},
	} {
		t.Run(name, func(t *testing.T) {
			problems := problem.NewSet(slog.New(slog.DiscardHandler))
			r := pathReporter{underlay: netip.MustParseAddr("198.18.0.11"), port: 8480, problems: problems, nameOf: func(key string) string { return key }}
			r.report(probe.Found{Paths: tt.found})
			status := fmt.Sprint(problems.List())
			for _, part := range tt.want {
				if !strings.Contains(status, part) {
					t.Errorf("the status is %q, want that it says %q", status, part)
				}
			}
			if problems.Ready() != tt.ready {
				t.Errorf("ready is %v, want %v", problems.Ready(), tt.ready)
			}
			if r.report(probe.Found{}); len(problems.List()) > 0 {
				t.Errorf("the status is still %q", problems.List())
			}
		})
	}
}

func TestTheSmallestMTUOfAPathCounts(t *testing.T) {
	peers := []overlay.Peer{{ID: "h2", Name: "h2"}, {ID: "h3", Name: "h3", MTU: 1350}, {ID: "h4", Name: "h4", MTU: 1350}, {ID: "h5", Name: "h5"}}
	got := withMTUs(peers, map[string]int{"h2": 950, "h3": 1400, "h4": 900, "h5": 100})
	want := []overlay.Peer{{ID: "h2", Name: "h2", MTU: 950}, {ID: "h3", Name: "h3", MTU: 1350}, {ID: "h4", Name: "h4", MTU: 900}, {ID: "h5", Name: "h5", MTU: overlay.MinMTU}}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b overlay.Peer) bool { return a.Name == b.Name && a.MTU == b.MTU })); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
}

// fakeMembers are the members that gossip sees.
type fakeMembers []gossip.Member

func (f fakeMembers) Members() []gossip.Member { return f }
func (f fakeMembers) Tell(string, []byte)      {}

func TestPeersThatAnswerAreProbed(t *testing.T) {
	matched := newLatch()
	self := &record.Host{Name: "h1", Overlay4: netip.MustParseAddr("100.64.1.1")}
	e := &effectiveCatalog{source: &record.Snapshot{}, self: self}
	claim := &block.Claim{}
	for _, name := range []string{"h2", "h3", "h4"} {
		e.peers = append(e.peers, overlay.Peer{ID: name, Name: name, Overlay4: netip.MustParseAddr("100.64.2.1"), MTU: 1350})
	}
	snapshot, relation := linkedSnapshot()
	e.Snapshot, e.Relation = snapshot, relation
	table := catalog.New("h1", 1)
	e.source, e.claim = table.Snapshot(), claim
	cache := &effectiveCache{host: thisHost{id: "h1", name: "h1", catalog: table}, block: &fakeHost{claim: claim}}
	cache.last.Store(e)
	c := &probeCluster{
		effective: cache, plane: newPlane(), matched: matched,
		gossip: fakeMembers{{Name: "h2", Alive: true}, {Name: "h3"}, {Name: "h4", Alive: true}},
	}
	if addr, _ := c.Self(); addr.IsValid() {
		t.Error("the host is probed before its kernel matches")
	}
	matched.open()
	if addr, mtu := c.Self(); addr != self.Overlay4 || mtu != 1450 {
		t.Errorf("the host probes from %v with an MTU of %d", addr, mtu)
	}
	var got []string
	for _, p := range c.Peers() {
		text := p.Name
		if p.Linked {
			text += " linked"
		}
		got = append(got, text)
	}
	if diff := cmp.Diff([]string{"h2 linked", "h4"}, got); diff != "" {
		t.Errorf("peers that are probed (-want +got):\n%s", diff)
	}
}

// A host tells everybody that it is not ready, and no more once it announces that its linker ends.
func TestAHostTellsItsTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := catalog.New("h1", 1)
		problems, matched := problem.NewSet(slog.New(slog.DiscardHandler)), newLatch()
		host := thisHost{id: "h1", name: "h1", catalog: table, facts: &hostFacts{}}
		r := &selfReporter{host: host, block: &fakeHost{claim: &block.Claim{Block4: netip.MustParsePrefix("100.64.1.0/24")}}, plane: newPlane(), problems: problems, matched: matched}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.run(ctx) }()
		told := func() record.Host {
			time.Sleep(2 * factsEvery)
			synctest.Wait()
			if h := table.Snapshot().Hosts["h1"]; h != nil {
				return *h
			}
			return record.Host{}
		}
		if h := told(); h.Name != "" {
			t.Errorf("before the kernel matches it tells %+v", h)
		}
		matched.open()
		if h := told(); h.MTU != 1450 || h.Troubles != nil {
			t.Errorf("it tells the MTU %d and the troubles %q, want 1450 and none", h.MTU, h.Troubles)
		}
		problems.Report(problem.PathBlocked, errText(strings.Repeat("ä\n", 300)))
		if h := told(); len(h.Troubles) != 1 || len(h.Troubles[0]) > record.MaxTrouble || !strings.HasPrefix(h.Troubles[0], "path-blocked: ä") {
			t.Errorf("it tells the troubles %q", h.Troubles)
		}
		problems.Report(problem.PathBlocked, nil)
		if h := told(); h.Troubles != nil {
			t.Errorf("it still tells the troubles %q", h.Troubles)
		}
		host.facts.leave()
		problems.Report(problem.PathBlocked, errText("late"))
		if h := told(); h.Troubles != nil {
			t.Errorf("after it has announced that it ends, it tells the troubles %q", h.Troubles)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run returned %v after its context had ended, want nil", err)
		}
	})
}

type errText string

func (e errText) Error() string { return string(e) }

// linkedSnapshot has containers of one app on h1 and h2, and one of another app on h4.
func linkedSnapshot() (*record.Snapshot, *reach.Relation) {
	s := &record.Snapshot{Endpoints: map[string]*record.Endpoint{}}
	for host, app := range map[string]string{"h1": "shop", "h2": "shop", "h4": "blog"} {
		ep := &record.Endpoint{ID: "e", Host: host, App: app}
		s.Endpoints[ep.Key()] = ep
	}
	return s, reach.Of(s)
}

func TestClocksThatDifferAreNamed(t *testing.T) {
	problems := problem.NewSet(slog.New(slog.DiscardHandler))
	r := pathReporter{problems: problems, nameOf: func(key string) string { return "name of " + key }}
	r.report(probe.Found{Clocks: []probe.Skew{{Peer: "h2", Ahead: 61 * time.Second}, {Peer: "h3", Ahead: -3 * time.Second}}})
	status := fmt.Sprint(problems.List())
	for _, part := range []string{"clock-differs name of h2: the clock of name of h2 is 1m1s ahead of that of this host", "the clock of name of h3 is 3s behind that of this host"} {
		if !strings.Contains(status, part) || !problems.Ready() {
			t.Errorf("the status is %q (ready: %v), want that it says %q and is ready", status, problems.Ready(), part)
		}
	}
}
