package linker

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/ipam"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// own keeps this host in possession of a block:
//
//	saved? --no--> look for peers -> choose -> announce -> settle --lost--> choose again
//	  |                                                      | won
//	  +------------------------> use <----------------------+
//	                              | an older claim of another host appears
//	                 empty? -> choose again;  else quarantine until it is gone
func (l *Linker) own(ctx context.Context) error {
	mine := l.savedClaim()
	if !mine.Block4.IsValid() {
		if l.meet(ctx) != nil || l.named(ctx) != nil {
			return nil // ctx ended
		}
	}
	for ctx.Err() == nil {
		var err error
		if !mine.Block4.IsValid() {
			if mine, err = l.contend(ctx); err != nil {
				return err
			}
		}
		if err := l.use(mine); err != nil {
			return err
		}
		if l.defend(ctx) {
			l.log.Warn("giving up a block that another host claimed first", "block", mine.Block4)
			mine = claim{}
		}
	}
	return nil
}

// savedClaim is the block of an earlier run, without the half that is of another
// IPv6 pool by now; none where it is another that is wanted and can be had.
func (l *Linker) savedClaim() claim {
	d := l.saved.get()
	c := claim{Block4: d.Block4, Block6: d.Block6, Claimed: d.Claimed}
	switch {
	case !c.Block4.IsValid(), l.cfg.suits(c.Block4, c.Block6):
		return c
	case !l.table.InUse():
		return claim{}
	}
	l.log.Warn("keeping the block as addresses of it are in use; what is configured differs",
		"block", c.Block4, "block6", c.Block6, "wanted", l.cfg.Block, "pool", l.cfg.Pool4, "pool6", l.cfg.Pool6)
	if !within(c.Block6, l.cfg.Pool6) {
		c.Block6 = netip.Prefix{}
	}
	return c
}

// meet waits until a majority of the hosts last known answer, however long that
// takes: the others may have given blocks away meanwhile. Hosts to join of which
// none was ever met are looked for until JoinTimeout: this may be the first of all.
func (l *Linker) meet(ctx context.Context) error {
	late := time.NewTimer(l.cfg.JoinTimeout)
	defer late.Stop()
	tick := time.NewTicker(50 * time.Millisecond) // members come without a change of the catalog
	defer tick.Stop()
	searched := l.gossip.Ready()
	for looking := true; ; {
		alive, known := l.count()
		switch {
		case l.cfg.Block.IsValid():
			return nil // whoever named it answers for it
		case enough(alive, known) && (alive > 0 || !looking):
			return nil
		case !looking:
			err := fmt.Errorf("of the %d hosts last known %d answer, this one included: waiting for a majority, or for a block named with --block", known+1, alive+1)
			if l.problems.set("block", err) {
				l.log.Warn("no block yet", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-searched:
			searched, looking = nil, looking && len(l.cfg.Join) > 0
		case <-late.C:
			looking = false
		case <-tick.C:
		}
	}
}

// count is how many other hosts answer, and how many are known.
func (l *Linker) count() (alive, known int) {
	for _, m := range l.gossip.Members() {
		known++
		if m.State == gossip.StateAlive {
			alive++
		}
	}
	return alive, max(known, len(l.saved.get().Members))
}

// contend announces a claim and lets it settle; it gives the one that nobody older
// contested.
func (l *Linker) contend(ctx context.Context) (claim, error) {
	changes, stop := l.catalog.Watch()
	defer stop()
	for {
		c, err := chooseBlock(l.cfg, l.catalog.Snapshot())
		if l.problems.set("block", err); err != nil {
			select {
			case <-ctx.Done():
				return claim{}, nil
			case <-changes: // a block may have become free
				continue
			}
		}
		if c.Claimed.IsZero() {
			c.Claimed = time.Now().UTC().Truncate(time.Millisecond)
		}
		if err := l.announce(c, time.Time{}); err != nil {
			return claim{}, err
		}
		settled := time.NewTimer(l.cfg.Settle)
		for lost := false; !lost; {
			select {
			case <-ctx.Done():
				return claim{}, nil
			case <-changes:
				lost = contested(l.catalog.Snapshot(), l.cfg.Pool4, l.host(c, time.Time{})) != nil && !l.cfg.Block.IsValid()
			case <-settled.C:
				l.log.Info("claimed a block", "block", c.Block4, "block6", c.Block6)
				l.keep(func(d *savedDoc) { d.Block4, d.Block6, d.Claimed = c.Block4, c.Block6, c.Claimed })
				return c, nil
			}
		}
		settled.Stop()
	}
}

// use gives the block to all who wait for it.
func (l *Linker) use(c claim) error {
	if !c.Block4.IsValid() {
		return nil // ctx ended while it was contended for
	}
	err := l.table.UseBlock(c.Block4, c.Block6)
	if err != nil && !diskFull(err) {
		return err
	}
	if err != nil { // Docker's next call for an address says so too, if that is still so
		l.log.Error("cannot keep addresses", "err", err)
	}
	l.quarantine(nil)
	l.claimed.Store(&c)
	select {
	case l.block <- struct{}{}:
	default:
	}
	return l.announce(c, time.Time{})
}

// defend watches for an older claim of our block until ctx ends. It reports
// whether the block is to be given up, which costs nothing while no container has
// an address of it.
func (l *Linker) defend(ctx context.Context) (lost bool) {
	changes, stop := l.catalog.Watch()
	defer stop()
	again := time.NewTicker(retryAfter) // an address that is given back changes no catalog
	defer again.Stop()
	for {
		var err error
		if c := l.claimed.Load(); c != nil {
			err = contested(l.catalog.Snapshot(), l.cfg.Pool4, l.host(*c, time.Time{}))
			l.quarantine(err) // from here on nobody is given an address of it
			if err != nil && !l.table.InUse() && !l.cfg.Block.IsValid() {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-changes:
		case <-retryIf(err != nil, again.C):
		}
	}
}

func (l *Linker) quarantine(why error) {
	reason := ""
	if why != nil {
		reason = why.Error()
	}
	l.addresses.Refuse(reason)
	if l.problems.set("block", why) && why != nil {
		l.log.Error("block quarantined", "err", why)
	}
}

// host is this host's record.
func (l *Linker) host(c claim, restart time.Time) *record.Host {
	h := &record.Host{
		Name: l.cfg.Host, Underlay: l.cfg.Underlay,
		Block4: c.Block4, Block6: c.Block6,
		Overlay4: ipam.HostAddr(c.Block4), Overlay6: ipam.HostAddr(c.Block6),
		Claimed: c.Claimed, Restart: restart,
	}
	if h.Overlay4.IsValid() {
		h.MAC = overlay.HardwareAddr(h.Overlay4).String()
	}
	return h
}

func (l *Linker) announce(c claim, restart time.Time) error {
	h := l.host(c, restart)
	_, err := l.catalog.Put(record.Record{Key: record.Key{Kind: record.KindHost, Name: h.Name}, Host: h})
	if err != nil {
		return fmt.Errorf("announce this host: %w", err)
	}
	return nil
}

// spread sends every change of the catalog made here to the peers at once.
func (l *Linker) spread(ctx context.Context) error {
	changes, stop := l.catalog.Watch()
	defer stop()
	epoch := l.saved.get().Epoch
	for {
		l.sendOutbox()
		if e := l.catalog.Epoch(); e > epoch { // a peer remembered a later run of ours than our disk did
			epoch = e
			l.keep(func(d *savedDoc) { d.Epoch = e })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
	}
}

func (l *Linker) sendOutbox() {
	for _, r := range l.catalog.DrainOutbox() {
		packet, err := record.Encode(r)
		if err != nil {
			l.log.Error("cannot send a record", "kind", r.Kind, "name", r.Name, "err", err)
			continue
		}
		l.gossip.Broadcast(catalog.PacketKey(r.Key), packet)
	}
}
