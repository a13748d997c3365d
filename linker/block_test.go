package linker

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tombolo/linker/ipam"
	"tombolo/linker/record"
)

// rival makes h's linker hear of a host that holds block since claimed.
func rival(t *testing.T, h *testHost, block netip.Prefix, claimed time.Time) {
	t.Helper()
	r := &record.Host{Name: "rival", Underlay: netip.MustParseAddr("127.77.9.9"), Block4: block, Overlay4: ipam.HostAddr(block), Claimed: claimed}
	merge(t, h.catalog, record.Record{Key: record.Key{Kind: record.KindHost, Name: "rival"}, Owner: "rival", Version: record.Version{Epoch: 1, Seq: 1}, Host: r})
}

func TestOlderClaimTakesAnEmptyBlock(t *testing.T) {
	h := newTestHost(t, 6)
	h.start(t)
	eventually(t, "block claimed", func() bool { return h.block.Current() != nil })
	lost := h.block.Current().Block4
	rival(t, h, lost, time.Now().Add(-time.Hour))
	eventually(t, "another block", func() bool { return !h.block.Current().Block4.Overlaps(lost) })
	if got := h.state.get().Block4; got.Overlaps(lost) {
		t.Errorf("saved block %s", got)
	}
	h.stop()
}

// Containers that come while a block is being given up get no address of it: the
// linker could not leave it then.
func TestNoAddressesOfALostBlock(t *testing.T) {
	h := newTestHost(t, 10)
	h.cfg.Settle = 300 * time.Millisecond
	h.start(t)
	eventually(t, "block claimed", func() bool { return h.block.Current() != nil })
	lost := h.block.Current().Block4
	rival(t, h, lost, time.Now().Add(-time.Hour))
	eventually(t, "the lost block is refused", func() bool {
		addr, err := h.table.Reserve(t.Context(), netip.Addr{})
		if err == nil && lost.Contains(addr) { // before the linker has heard
			err = h.table.Release(addr)
		}
		return err != nil
	})
	eventually(t, "an address of another block", func() bool {
		addr, err := h.table.Reserve(t.Context(), netip.Addr{})
		if err == nil && lost.Contains(addr) {
			t.Fatalf("given %s of the lost block", addr)
		}
		return err == nil
	})
	if problems := h.problems.list(); len(problems) > 0 {
		t.Errorf("problems that are over: %v", problems)
	}
	h.stop()
}

func TestOlderClaimQuarantinesAUsedBlock(t *testing.T) {
	h := newTestHost(t, 7)
	h.start(t)
	eventually(t, "block claimed", func() bool { return h.block.Current() != nil })
	h.run(t, "web", labels("web"))
	mine := h.block.Current().Block4
	rival(t, h, mine, time.Now().Add(-time.Hour))
	eventually(t, "no new addresses, and said so", func() bool {
		_, err := h.table.Reserve(t.Context(), netip.Addr{})
		return err != nil && strings.Contains(err.Error(), "belongs to host rival") &&
			strings.Contains(strings.Join(h.problems.list(), "\n"), "belongs to host rival")
	})
	if got := h.block.Current().Block4; got != mine {
		t.Errorf("renumbered to %s in silence", got)
	}
	h.stop()
}

func TestYoungerClaimChangesNothing(t *testing.T) {
	h := newTestHost(t, 8)
	h.start(t)
	eventually(t, "block claimed", func() bool { return h.block.Current() != nil })
	mine := h.block.Current().Block4
	rival(t, h, mine, time.Now().Add(time.Hour))
	if _, err := h.table.Reserve(t.Context(), netip.Addr{}); err != nil || h.block.Current().Block4 != mine {
		t.Errorf("block %s, %v", h.block.Current().Block4, err)
	}
	h.stop()
}

// Who has known others claims nothing without a majority of them, however long that
// takes, but what it was told to claim.
func TestNoBlockWithoutAMajority(t *testing.T) {
	a, b := newTestHost(t, 18), newTestHost(t, 19)
	b.cfg.Join = []string{a.cfg.Underlay.String()}
	a.start(t)
	b.start(t)
	eventually(t, "both have blocks and know each other", func() bool {
		return a.block.Current() != nil && b.block.Current() != nil && len(a.state.get().Members) == 1
	})
	a.stop()
	b.stop()

	a.cfg.Pool4, a.cfg.JoinTimeout = netip.MustParsePrefix("10.77.0.0/16"), time.Millisecond // its block is no more
	b.cfg.Pool4 = a.cfg.Pool4
	a.start(t)
	eventually(t, "it says what it waits for", func() bool {
		return strings.Contains(strings.Join(a.problems.list(), "\n"), "only 1 of the 2 known hosts answer")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if addr, err := a.table.Reserve(ctx, netip.Addr{}); err == nil || !strings.Contains(err.Error(), "waits for its peers") {
		t.Errorf("given %s, %v", addr, err)
	}
	b.start(t)
	eventually(t, "both have blocks", func() bool { return a.block.Current() != nil && b.block.Current() != nil })
	if all := strings.Join(a.problems.list(), "\n"); strings.Contains(all, "majority") {
		t.Errorf("problems that are over: %s", all)
	}
	a.stop()
	b.stop()

	a.cfg.Block = netip.MustParsePrefix("10.77.200.0/24")
	a.start(t)
	eventually(t, "the block that was named", func() bool { c := a.block.Current(); return c != nil && c.Block4 == a.cfg.Block })
	a.stop()
}

// The first host of a cluster may be told of others that are not there yet.
func TestFirstOfAll(t *testing.T) {
	h := newTestHost(t, 20)
	h.cfg.Join, h.cfg.JoinTimeout = []string{"127.77.9.8"}, 50*time.Millisecond
	h.start(t)
	eventually(t, "a block", func() bool { return h.block.Current() != nil })
	h.stop()
}
