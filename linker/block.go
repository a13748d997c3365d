package linker

import (
	"log/slog"
	"net/netip"
	"slices"

	"tombolo/linker/attach"
	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/ipam"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// newBlock connects the block keeper with the other parts.
func (l *Linker) newBlock() *block.Keeper {
	cfg, last := l.cfg, l.state.get()
	return block.New(block.Config{
		Rules:       block.Rules{Host: l.host.id, Pool4: cfg.Pool4, Pool6: cfg.Pool6, Fixed: cfg.Block},
		Last:        last.Claim,
		Contested:   last.Contested,
		Moved:       last.Underlay.IsValid() && last.Underlay != cfg.Underlay,
		Adopt:       l.identity().adopt,
		Joins:       cfg.Join,
		JoinTimeout: cfg.JoinTimeout,
		Settle:      cfg.Settle,
		Catalog:     l.catalog,
		Peers:       blockPeers{l.names, l.gossip, l.state},
		Addresses:   blockAddresses{l.table, l.addresses, cfg.Log},
		Exchange:    exchange{l.gossip, l.catalog},
		Announce: func(c block.Claim, hold record.Hold) error {
			l.state.saveUnderlay(cfg.Underlay)
			return l.host.facts.whilePresent(func() error { return l.host.announce(l.host.record(&c, hold)) })
		},
		Save:   l.state.saveClaim,
		Report: func(err error) { l.problems.Report(problem.BlockMissing, err) },
		Log:    cfg.Log,
	})
}

// blockPeers implements block.Peers.
type blockPeers struct {
	nameConflicts
	gossip *gossip.Gossip
	state  *stateFile
}

func (p blockPeers) Searched() <-chan struct{} { return p.gossip.Ready() }

func (p blockPeers) Count() (answering, known int) {
	forgotten := p.catalog.Snapshot().Forgotten
	for _, m := range p.gossip.Members() {
		if _, gone := forgotten[m.Name]; gone {
			continue
		}
		known++
		if m.Alive {
			answering++
		}
	}
	return answering, max(known, len(p.state.get().Members))
}

// identity returns the part that gives this host another identity where that is necessary.
func (l *Linker) identity() identityKeeper {
	return identityKeeper{
		self: l.host, catalog: l.catalog, state: l.state, underlay: l.cfg.Underlay,
		answers: func(key string) bool {
			return slices.ContainsFunc(l.gossip.Members(), func(m gossip.Member) bool { return m.Name == key && m.Alive })
		},
	}
}

// exchange implements block.Exchange.
type exchange struct {
	gossip  *gossip.Gossip
	catalog *catalog.Catalog
}

func (x exchange) Ask() { x.gossip.Exchange() }

func (x exchange) Compared() (c block.Comparison) {
	c.Count, c.Missing, c.Different = x.catalog.Compared()
	return c
}

// blockAddresses implements block.Addresses.
type blockAddresses struct {
	*attach.Table
	*ipam.Allocator
	log *slog.Logger
}

// UseBlock ignores a full disk: if the disk is still full when Docker requests an address,
// that request fails and says so.
func (a blockAddresses) UseBlock(block4, block6 netip.Prefix) error {
	err := a.Table.UseBlock(block4, block6)
	if diskFull(err) {
		a.log.Error("cannot save the addresses", "err", err)
		return nil
	}
	return err
}
