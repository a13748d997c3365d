package probe

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// named is the time within which every fault has to be named.
const named = 30 * time.Second

// expect compares what hosts report.
func (w *network) expect(what string, want map[string][]string) {
	w.t.Helper()
	for _, h := range w.hosts {
		if diff := cmp.Diff(want[h.name], h.findings()); diff != "" {
			w.t.Errorf("%s: %s reports (-want +got):\n%s", what, h.name, diff)
		}
	}
}

func TestNothingIsWrong(t *testing.T) {
	bubble(t, 3, func(w *network) {
		w.rest(10 * time.Minute)
		w.expect("after ten minutes", nil)
		for _, h := range w.hosts {
			if len(h.prober.MTUs()) > 0 {
				t.Errorf("%s has found the MTUs %v, want none", h.name, h.prober.MTUs())
			}
		}
	})
}

func TestOneDirectionIsBlocked(t *testing.T) {
	bubble(t, 3, func(w *network) {
		w.rest(20 * time.Second)
		w.set(func() { w.tunnel = func(from, to string, _ int) bool { return from != "h1" || to != "h2" } })
		w.rest(named)
		blocked := map[string][]string{"h1": {"nothing to h2"}, "h2": {"nothing from h1"}}
		w.expect("while it is blocked", blocked)
		w.rest(time.Hour)
		w.expect("an hour later", blocked)
		w.set(func() { w.tunnel = nil })
		w.rest(named)
		w.expect("after that", nil)
	})
}

func TestAHostReceivesNothing(t *testing.T) {
	bubble(t, 3, func(w *network) {
		w.set(func() { w.tunnel = func(_, to string, _ int) bool { return to != "h3" } })
		w.rest(named)
		w.expect("from the start", map[string][]string{
			"h1": {"nothing to h3"}, "h2": {"nothing to h3"}, "h3": {"nothing from h1", "nothing from h2"},
		})
	})
}

func TestLargePacketsAreBlocked(t *testing.T) {
	bubble(t, 2, func(w *network) {
		w.rest(20 * time.Second)
		limit := 950
		w.set(func() { w.tunnel = func(from, _ string, size int) bool { return from != "h1" || size <= limit } })
		w.rest(named)
		w.expect("while they are blocked", map[string][]string{"h1": {"only small packets to h2"}, "h2": {"only small packets from h1"}})
		h := w.host("h1")
		if mtu := h.prober.MTUs()["h2"]; mtu > limit || mtu < limit-precise {
			t.Errorf("h1 has found the MTU %d, want %d or up to %d less", mtu, limit, precise)
		}
		if diff := cmp.Diff(h.prober.MTUs(), h.saved); diff != "" {
			t.Errorf("MTUs that are saved (-want +got):\n%s", diff)
		}
		if found := w.host("h2").found.Paths; len(found) != 1 || found[0].MTU > limit || found[0].MTU < limit-precise || found[0].Full != 1450 {
			t.Errorf("h2 reports %+v, want about %d of 1450 bytes", found, limit)
		}

		w.set(func() { limit = 1200 })
		w.rest(time.Minute)
		if mtu := h.prober.MTUs()["h2"]; mtu > limit || mtu < limit-precise {
			t.Errorf("the path has become wider: h1 has found the MTU %d, want %d or up to %d less", mtu, limit, precise)
		}
		w.set(func() { limit = 700 })
		w.rest(named)
		if mtu := h.prober.MTUs()["h2"]; mtu > limit || mtu < limit-precise {
			t.Errorf("the path has become narrower: h1 has found the MTU %d, want %d or up to %d less", mtu, limit, precise)
		}
		w.set(func() { w.tunnel = nil })
		w.rest(named)
		w.expect("after that", nil)
		if len(h.prober.MTUs()) > 0 || len(h.saved) > 0 {
			t.Errorf("after that, h1 has found the MTUs %v and saved %v, want none", h.prober.MTUs(), h.saved)
		}
	})
}

// A host takes no larger packets than its peer can send back.
func TestTheFullSizeIsThatOfTheSmallerHost(t *testing.T) {
	bubble(t, 2, func(w *network) {
		w.set(func() { w.host("h2").mtu = 1350 })
		w.set(func() { w.tunnel = func(_, _ string, size int) bool { return size <= 1350 } })
		w.rest(time.Minute)
		w.expect("after a minute", nil)
	})
}

func TestAStoppedLinkerIsNoFaultOfTheNetwork(t *testing.T) {
	bubble(t, 3, func(w *network) {
		w.rest(20 * time.Second)
		w.set(func() {
			w.silent["h2"] = true
			w.tunnel = func(from, to string, _ int) bool { return from != "h2" && to != "h2" }
		})
		w.rest(time.Minute)
		w.expect("while it is stopped", nil)
	})
}

// A receiver that has just started cannot tell what was lost before.
func TestALinkerThatRestartsIsNoFaultOfTheNetwork(t *testing.T) {
	bubble(t, 2, func(w *network) {
		h2 := w.host("h2")
		addr := h2.addr
		for range 50 {
			w.set(func() { h2.addr = netip.Addr{} })
			w.rest(2 * time.Second)
			w.set(func() { h2.addr = addr })
			w.rest(5 * time.Second)
			w.expect("after a restart", nil)
		}
	})
}

func TestALossyNetworkIsNotTakenForABlockedOne(t *testing.T) {
	bubble(t, 5, func(w *network) {
		w.set(func() { w.tunnel = lossy(0.1) })
		for range 60 {
			w.rest(10 * time.Second)
			w.expect("with one packet in ten lost", nil)
		}
	})
}

// The path's MTU is known from the start of the next run, and forgotten if it has changed
// meanwhile.
func TestTheNextRunKnowsTheMTU(t *testing.T) {
	p := New(Config{MTUs: map[string]int{"h2": 950}})
	if diff := cmp.Diff(map[string]int{"h2": 950}, p.MTUs()); diff != "" {
		t.Errorf("MTUs before the first round (-want +got):\n%s", diff)
	}
	s := newState(map[string]int{"h2": 950})
	s.setPeers([]Peer{{Name: "h2", Addr: netip.MustParseAddr("100.64.2.1")}}, time.Unix(0, 0))
	for now := time.Unix(0, 0); now.Before(time.Unix(30, 0)); now = now.Add(tick) {
		if k := s.next(now); k != nil {
			sizes := s.begin(k, roundID{1}, 1450, now)
			s.answered("h2", note{round: roundID{1}, known: true, arrived: 1<<len(sizes) - 1}, now)
		}
	}
	if len(s.mtus) > 0 {
		t.Errorf("packets of the full size pass, and still the MTUs are %v", s.mtus)
	}
}

func TestTrafficIsBoundedAndLinkedPeersComeFirst(t *testing.T) {
	var peers []Peer
	for i := range 1000 {
		addr := netip.AddrFrom4([4]byte{100, 64, byte(i >> 8), byte(i)})
		peers = append(peers, Peer{Name: addr.String(), Addr: addr, Linked: i%25 == 0})
	}
	s := newState(nil)
	start := time.Unix(1000, 0)
	s.setPeers(peers, start)
	last, longest := map[string]time.Time{}, map[bool]time.Duration{}
	rounds := 0
	for now := start; now.Before(start.Add(time.Hour)); now = now.Add(tick) {
		if k := s.next(now); k != nil {
			rounds++
			sizes := s.begin(k, roundID{1}, 1450, now)
			s.answered(k.peer.Name, note{round: roundID{1}, known: true, arrived: 1<<len(sizes) - 1}, now)
			if before, ok := last[k.peer.Name]; ok {
				longest[k.peer.Linked] = max(longest[k.peer.Linked], now.Sub(before))
			}
			last[k.peer.Name] = now
		}
	}
	if rounds > 4*3600 {
		t.Errorf("%d rounds in an hour, want at most 4 a second", rounds)
	}
	if len(last) != len(peers) || longest[true] > 30*time.Second || longest[false] > 15*time.Minute {
		t.Errorf("%d of 1000 peers were probed: linked ones at least every %v, the others every %v", len(last), longest[true], longest[false])
	}
	t.Logf("%.1f rounds a second; linked peers at least every %v, others every %v", float64(rounds)/3600, longest[true], longest[false])
}

func TestAHostSendsLittle(t *testing.T) {
	bubble(t, 3, func(w *network) {
		w.rest(10 * time.Minute)
		if perHost := w.bytes / 600 / 3; perHost > 1000 {
			t.Errorf("each of three hosts sends %d bytes a second through the tunnel, want at most 1000", perHost)
		}
	})
}

// Answers count only if they come from the peer that was asked, and shots only if they come from
// the peer's own address.
func TestOthersCannotAnswer(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newState(nil)
	h2, h3 := netip.MustParseAddr("100.64.2.1"), netip.MustParseAddr("100.64.3.1")
	s.setPeers([]Peer{{Name: "h2", Addr: h2}, {Name: "h3", Addr: h3}}, now)
	for range 2 * brokenAfter {
		s.begin(s.peers["h2"], roundID{1}, 1450, now)
		s.answered("h3", note{round: roundID{1}, known: true}, now)
		s.answered("h2", note{round: roundID{2}, known: true}, now)
	}
	if found := s.findings(); len(found) > 0 {
		t.Errorf("findings after others' answers: %+v", found)
	}
	s.query("h2", note{round: roundID{3}, sizes: []int{100, 1450}}, now)
	s.received(h3, shot{roundID{3}, 0, 100}, now)
	s.received(h3, shot{roundID{3}, 1, 1450}, now)
	got := s.answers(now.Add(-time.Minute), now.Add(shotWait))["h2"]
	if diff := cmp.Diff([]note{{round: roundID{3}, known: true, clock: now.Add(shotWait).UnixMilli()}}, got, cmp.AllowUnexported(note{})); diff != "" {
		t.Errorf("the answer about shots that another host has sent (-want +got):\n%s", diff)
	}
}

// A receiver that had no CPU time has not read its socket either.
func TestAStarvedReceiverWaitsAgain(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newState(nil)
	s.setPeers([]Peer{{Name: "h2", Addr: netip.MustParseAddr("100.64.2.1")}}, time.Unix(0, 0))
	s.query("h2", note{round: roundID{3}, sizes: []int{100, 1450}}, now)
	now = now.Add(10 * time.Second)
	if got := s.answers(time.Unix(0, 0), now); len(got) > 0 {
		t.Errorf("it answers %v without a look at its socket", got)
	}
	s.received(netip.MustParseAddr("100.64.2.1"), shot{roundID{3}, 0, 100}, now)
	s.received(netip.MustParseAddr("100.64.2.1"), shot{roundID{3}, 1, 1450}, now)
	if got := s.answers(time.Unix(0, 0), now)["h2"]; len(got) != 1 || got[0].arrived != 3 {
		t.Errorf("it answers %v, want that both shots have arrived", got)
	}
}
