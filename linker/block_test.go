package linker

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tombolo/linker/ipam"
	"tombolo/linker/record"
)

// addRival puts the record of a host that holds a block into h's catalog, as gossip would.
func addRival(t *testing.T, h *testHost, block4 netip.Prefix, hold record.Hold) {
	t.Helper()
	r := &record.Host{Name: "a-rival", Underlay: netip.MustParseAddr("127.77.9.9"), Block4: block4, Overlay4: ipam.HostAddr(block4), Hold: hold}
	merge(t, h.catalog, record.Record{Key: record.Key{Kind: record.KindHost, Name: "a-rival"}, Owner: "a-rival", Version: record.Version{Epoch: 1, Seq: 1}, Host: r})
}

func TestAHostWithContainersTakesAnEmptyBlock(t *testing.T) {
	h := newTestHost(t, 6)
	h.start(t)
	lost := h.awaitBlock(t)
	addRival(t, h, lost, record.HoldUsed)
	eventually(t, "the host has another block", func() bool { return !h.block.Current().Block4.Overlaps(lost) })
	if got := h.state.get().Block4; got.Overlaps(lost) {
		t.Errorf("the state file still has the lost block %s", got)
	}
	h.stop()
}

// A container that starts while its host gives a block up must get no address of that
// block, because the host could not give it up any more.
func TestNoAddressesOfALostBlock(t *testing.T) {
	h := newTestHost(t, 10)
	h.cfg.Settle = 300 * time.Millisecond
	h.start(t)
	lost := h.awaitBlock(t)
	addRival(t, h, lost, record.HoldUsed)
	eventually(t, "requests are refused", func() bool {
		addr, err := h.table.Reserve(t.Context(), netip.Addr{})
		if err == nil && lost.Contains(addr) { // the linker has not looked at the catalog yet
			err = h.table.Release(addr)
		}
		return err != nil
	})
	eventually(t, "an address of another block is handed out", func() bool {
		addr, err := h.table.Reserve(t.Context(), netip.Addr{})
		if err == nil && lost.Contains(addr) {
			t.Fatalf("got the address %s of the lost block", addr)
		}
		return err == nil
	})
	if problems := h.problems.List(); len(problems) > 0 {
		t.Errorf("problems that are over are still listed: %v", problems)
	}
	h.stop()
}

func TestAPriorClaimQuarantinesAUsedBlock(t *testing.T) {
	h := newTestHost(t, 7)
	h.start(t)
	mine := h.awaitBlock(t)
	h.run(t, "web", labels("web"))
	addRival(t, h, mine, record.HoldUsed)
	eventually(t, "requests are refused and the status says why", func() bool {
		_, err := h.table.Reserve(t.Context(), netip.Addr{})
		return err != nil && strings.Contains(err.Error(), "belongs to host a-rival") &&
			strings.Contains(fmt.Sprint(h.problems.List()), "belongs to host a-rival")
	})
	if got := h.block.Current().Block4; got != mine {
		t.Errorf("the host moved to %s although a container has an address of %s", got, mine)
	}
	h.stop()
}

func TestANewcomersClaimChangesNothing(t *testing.T) {
	h := newTestHost(t, 8)
	h.start(t)
	mine := h.awaitBlock(t)
	addRival(t, h, mine, record.HoldAnnounced)
	if _, err := h.table.Reserve(t.Context(), netip.Addr{}); err != nil || h.block.Current().Block4 != mine {
		t.Errorf("the host has block %s and a request for an address returned %v, want block %s and an address", h.block.Current().Block4, err, mine)
	}
	h.stop()
}

// A host that has met others claims no block without a majority of them, however long
// that takes, except for a block that the operator chose.
func TestNoBlockWithoutAMajority(t *testing.T) {
	a, b := newTestHost(t, 18), newTestHost(t, 19)
	b.cfg.Join = []string{a.cfg.Underlay.String()}
	a.start(t)
	b.start(t)
	eventually(t, "both hosts have blocks and know each other", func() bool {
		return a.block.Current() != nil && b.block.Current() != nil && len(a.state.get().Members) == 1
	})
	a.stop()
	b.stop()

	a.cfg.Pool4, a.cfg.JoinTimeout = netip.MustParsePrefix("10.77.0.0/16"), time.Millisecond // drops its block
	b.cfg.Pool4 = a.cfg.Pool4
	a.start(t)
	eventually(t, "the status says that a majority is missing", func() bool {
		return strings.Contains(fmt.Sprint(a.problems.List()), "only 1 of the 2 known hosts answer")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if addr, err := a.table.Reserve(ctx, netip.Addr{}); err == nil || !strings.Contains(err.Error(), "waits for its peers") {
		t.Errorf("a request without a block returned %s and the error %v, want an error that names the reason", addr, err)
	}
	b.start(t)
	a.awaitBlock(t)
	b.awaitBlock(t)
	if all := fmt.Sprint(a.problems.List()); strings.Contains(all, "known hosts") {
		t.Errorf("a problem that is over is still listed: %s", all)
	}
	a.stop()
	b.stop()

	a.cfg.Block = netip.MustParsePrefix("10.77.200.0/24")
	a.start(t)
	eventually(t, "the host has the block of the configuration", func() bool { c := a.block.Current(); return c != nil && c.Block4 == a.cfg.Block })
	a.stop()
}

// The first host of a cluster may be told to join hosts that do not run yet.
func TestTheFirstHostClaimsABlockAlone(t *testing.T) {
	h := newTestHost(t, 20)
	h.cfg.Join, h.cfg.JoinTimeout = []string{"127.77.9.8"}, 50*time.Millisecond
	h.start(t)
	h.awaitBlock(t)
	h.stop()
}
