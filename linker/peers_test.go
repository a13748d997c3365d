package linker

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tombolo/linker/record"
	"tombolo/overlay"
)

var day = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func hostWith(name, block string, claimed time.Time) *record.Host {
	return &record.Host{Name: name, Block4: netip.MustParsePrefix(block), Hold: record.HoldSettled, Claimed: claimed}
}

func snapshotOf(hosts ...*record.Host) *record.Snapshot {
	s := &record.Snapshot{Hosts: map[string]*record.Host{}}
	for _, h := range hosts {
		s.Hosts[h.Name] = h
	}
	return s
}

func TestHostsWithAnotherPoolAreNoPeers(t *testing.T) {
	pool4, pool6 := DefaultPool4, netip.MustParsePrefix("fd00:1:2::/48")
	own := hostWith("h1", "100.64.1.0/24", day)
	dual := func(name, block4, block6 string) *record.Host {
		h := hostWith(name, block4, day)
		h.Block6 = netip.MustParsePrefix(block6)
		h.Overlay6 = h.Block6.Addr().Next()
		return h
	}
	s := snapshotOf(own,
		dual("h2", "100.64.2.0/24", "fd00:1:2:0:2::/80"),
		hostWith("h3", "10.0.3.0/24", day),
		hostWith("h4", "100.0.0.0/8", day),
		dual("h5", "100.64.5.0/24", "fd00:9:9:0:5::/80"),
	)
	got, err := peers(s, own, pool4, pool6)
	if len(got) != 2 || got[0].Name != "h2" || !got[0].Block6.IsValid() || got[1].Name != "h5" || got[1].Block6.IsValid() || got[1].Overlay6.IsValid() {
		t.Errorf("peers returned %+v, want h2, and h5 without IPv6", got)
	}
	for _, want := range []string{
		"host h3 uses another pool: its block 10.0.3.0/24 is outside of 100.64.0.0/10",
		"host h5 uses another IPv6 pool: its block fd00:9:9:0:5::/80 is outside of fd00:1:2::/48",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("peers returned the error %v, want %q in it", err, want)
		}
	}
	if got, err := peers(snapshotOf(own, s.Hosts["h2"], s.Hosts["h5"]), own, pool4, netip.Prefix{}); len(got) != 2 || err != nil {
		t.Errorf("without an IPv6 pool, peers returned %+v and the error %v; want both hosts and no error", got, err)
	}
}

// A running linker names a host with another pool in its status and stays ready.
func TestHostsWithAnotherPoolAreReported(t *testing.T) {
	h := newTestHost(t, 13)
	h.start(t)
	c := h.client(t)
	h.awaitBlock(t)
	addRival(t, h, netip.MustParsePrefix("10.9.8.0/24"), record.HoldSettled)
	eventually(t, "the status names the host", func() bool {
		st, err := c.Status(t.Context())
		return err == nil && st.Ready && strings.Contains(fmt.Sprint(st.Problems), "host a-rival uses another pool")
	})
	var last overlay.Config
	select {
	case last = <-h.plane.set:
	default:
	}
	if len(last.Peers) > 0 {
		t.Errorf("the kernel sends packets to %+v, want no peers", last.Peers)
	}
	h.stop()
}
