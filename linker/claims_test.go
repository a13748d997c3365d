package linker

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/gossip/gossiptest"
	"tombolo/linker/record"
)

// claimant is a host of a simulation: a catalog, gossip on a network in memory, and a keeper.
type claimant struct {
	name    string
	addr    netip.AddrPort
	skew    time.Duration // of its clock
	catalog *catalog.Catalog
	gossip  *gossip.Gossip
	keeper  *block.Keeper
	inUse   atomic.Bool
	refused atomic.Bool
	saved   block.Claim
	stop    func()
}

func (h *claimant) Searched() <-chan struct{}        { return h.gossip.Ready() }
func (h *claimant) IdentityTaken() bool              { return false }
func (h *claimant) InUse() bool                      { return h.inUse.Load() }
func (h *claimant) Refuse(reason error)              { h.refused.Store(reason != nil) }
func (h *claimant) UseBlock(_, _ netip.Prefix) error { return nil }
func (h *claimant) Ask()                             { h.gossip.Exchange() }
func (h *claimant) Count() (answering, known int) {
	for _, m := range h.gossip.Members() {
		known++
		if m.Alive {
			answering++
		}
	}
	return answering, known
}

// broadcast gives changes of the catalog to the gossip until ctx ends.
func (h *claimant) broadcast(ctx context.Context) error {
	changes, stop := h.catalog.Watch()
	defer stop()
	for {
		broadcaster{catalog: h.catalog, gossip: h.gossip}.send()
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
	}
}

func (h *claimant) Compared() (c block.Comparison) {
	c.Count, c.Missing, c.Different = h.catalog.Compared()
	return c
}

// claimants are the hosts of a simulation and their network. The pool is small, so that hosts
// that do not know of each other choose one block.
type claimants struct {
	t     *testing.T
	net   *gossiptest.Network
	pool  netip.Prefix
	hosts []*claimant
}

// start starts a host that joins others. Its clock differs by skew from that of the others.
func (c *claimants) start(i int, skew time.Duration, join ...string) *claimant {
	h := &claimant{name: fmt.Sprintf("h%02d", i), addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 0, byte(i)}), 7980), skew: skew}
	h.catalog = catalog.New(h.name, uint64(time.Now().Add(skew).Unix()))
	var err error
	h.gossip, err = gossip.New(gossip.Config{Name: h.name, Bind: h.addr, Seeds: join, Transport: c.net.Transport(h.addr.String())}, h.catalog)
	if err != nil {
		c.t.Fatal(err)
	}
	this := thisHost{id: h.name, name: h.name, underlay: h.addr.Addr(), catalog: h.catalog}
	h.keeper = block.New(block.Config{
		Rules: block.Rules{Host: h.name, Pool4: c.pool}, Joins: join, JoinTimeout: 10 * time.Second, Settle: time.Second,
		Catalog: h.catalog, Peers: h, Exchange: h, Addresses: h,
		Announce: func(claim block.Claim, hold record.Hold) error {
			claim.Claimed = claim.Claimed.Add(skew)
			return this.announce(this.record(&claim, hold))
		},
		Save: func(claim block.Claim) { h.saved = claim }, Adopt: func() error { return nil }, Report: func(error) {}, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan error, 3)
	go func() { done <- h.gossip.Run(ctx) }()
	go func() { done <- h.keeper.Run(ctx) }()
	go func() { done <- h.broadcast(ctx) }()
	h.stop = func() {
		cancel()
		for range 3 {
			if err := <-done; err != nil {
				c.t.Errorf("%s ended with %v", h.name, err)
			}
		}
	}
	c.hosts = append(c.hosts, h)
	return h
}

func (c *claimants) stop() {
	for _, h := range c.hosts {
		h.stop()
	}
	time.Sleep(time.Minute) // memberlist's last probes
}

// mustHoldDifferentBlocks checks that every host has a block of its own and is not refused it.
func (c *claimants) mustHoldDifferentBlocks() {
	c.t.Helper()
	holders := map[netip.Prefix]string{}
	for _, h := range c.hosts {
		claim := h.keeper.Current()
		switch {
		case claim == nil:
			c.t.Errorf("%s has no block", h.name)
		case h.refused.Load():
			c.t.Errorf("%s takes no containers in its block %s", h.name, claim.Block4)
		case holders[claim.Block4] != "":
			c.t.Errorf("%s and %s both hold %s", holders[claim.Block4], h.name, claim.Block4)
		default:
			holders[claim.Block4] = h.name
		}
	}
}

// simulateClaims runs a test on one processor: the race detector of Go 1.26 crashes now and then where
// several run the many timers of a bubble.
func simulateClaims(t *testing.T, pool string, test func(t *testing.T, c *claimants)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, func(t *testing.T) {
		c := &claimants{t: t, net: gossiptest.NewNetwork(1), pool: netip.MustParsePrefix(pool)}
		test(t, c)
		c.stop()
	})
}

// Twelve hosts start at once and join each other, in a pool of 15 blocks, with clocks that are
// hours apart. Each gets a block of its own, and none gives one up that it has used.
func TestHostsThatJoinAtOnceClaimDifferentBlocks(t *testing.T) {
	for _, loss := range []float64{0, 0.3} {
		simulateClaims(t, "10.1.0.0/20", func(t *testing.T, c *claimants) {
			c.net.Lose(loss)
			for i := range 12 {
				c.start(i+1, time.Duration(i%5-2)*time.Hour, "198.18.0.1:7980", "198.18.0.2:7980")
			}
			first := map[string]netip.Prefix{}
			for range 600 {
				time.Sleep(100 * time.Millisecond)
				for _, h := range c.hosts {
					claim := h.keeper.Current()
					if claim == nil {
						continue
					}
					h.inUse.Store(true) // a container starts as soon as there is a block
					if had, ok := first[h.name]; ok && had != claim.Block4 {
						t.Errorf("%s moved from %s to %s", h.name, had, claim.Block4)
					}
					first[h.name] = claim.Block4
				}
			}
			c.mustHoldDifferentBlocks()
		})
	}
}

// Newcomers, one with a clock that is a year behind, join a cluster whose hosts have settled.
// No host loses its block.
func TestNewcomersTakeNoBlock(t *testing.T) {
	simulateClaims(t, "10.1.0.0/20", func(t *testing.T, c *claimants) {
		for i := range 6 {
			c.start(i+10, 0, "198.18.0.10:7980")
		}
		time.Sleep(30 * time.Second)
		c.mustHoldDifferentBlocks()
		before := map[string]netip.Prefix{}
		for _, h := range c.hosts {
			before[h.name] = h.keeper.Current().Block4
		}
		for i := range 6 { // their names come before those of the others
			c.start(i+1, -365*24*time.Hour, "198.18.0.12:7980")
		}
		time.Sleep(30 * time.Second)
		c.mustHoldDifferentBlocks()
		for _, h := range c.hosts[:6] {
			if now := h.keeper.Current().Block4; now != before[h.name] {
				t.Errorf("%s had %s before the others joined, and %s now", h.name, before[h.name], now)
			}
		}
	})
}

// Both sides of a split start new hosts, which choose one block. When the split has healed, the
// host with containers keeps it, whatever its clock and its name are, and the other one moves.
func TestAfterASplitTheHostWithContainersKeepsItsBlock(t *testing.T) {
	simulateClaims(t, "10.1.0.0/24", func(t *testing.T, c *claimants) { // one block
		c.net.Split("198.18.0.1:7980")
		idle := c.start(1, -time.Hour)
		busy := c.start(2, time.Hour)
		time.Sleep(5 * time.Second)
		busy.inUse.Store(true)
		if idle.keeper.Current() == nil || busy.keeper.Current() == nil {
			t.Fatal("a host that is alone has no block")
		}
		time.Sleep(2 * time.Second)
		c.net.Split()
		joiner := c.start(3, 0, "198.18.0.1:7980", "198.18.0.2:7980") // both sides learn of each other from it
		time.Sleep(30 * time.Second)
		if busy.refused.Load() {
			t.Error("the host with containers takes no more of them")
		}
		if !idle.refused.Load() || joiner.keeper.Current() != nil {
			t.Errorf("the pool has one block, but the idle host is refused: %v, and the third has %v", idle.refused.Load(), joiner.keeper.Current())
		}
	})
}
