package linker

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/ipam"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// thisHost makes this host's record.
type thisHost struct {
	name     string
	underlay netip.Addr
	catalog  *catalog.Catalog
}

// record describes this host with a claim; nil: it has none. Restart is until when peers
// should wait for a linker that restarts; zero: it is not restarting.
func (t thisHost) record(c *block.Claim, restart time.Time) *record.Host {
	h := &record.Host{Name: t.name, Underlay: t.underlay, Restart: restart}
	if c != nil {
		h.Block4, h.Block6, h.Claimed = c.Block4, c.Block6, c.Claimed
		h.Overlay4, h.Overlay6 = ipam.HostAddr(c.Block4), ipam.HostAddr(c.Block6)
		h.MAC = overlay.HardwareAddr(h.Overlay4).String()
	}
	return h
}

// announce puts the record into the catalog, from where it spreads.
func (t thisHost) announce(c *block.Claim, restart time.Time) error {
	_, err := t.catalog.Put(record.Record{Key: record.Key{Kind: record.KindHost, Name: t.name}, Host: t.record(c, restart)})
	if err != nil {
		return fmt.Errorf("announce this host: %w", err)
	}
	return nil
}

// publisher sends the changes that this host makes to the catalog to its peers.
type publisher struct {
	catalog *catalog.Catalog
	gossip  interface {
		Broadcast(key string, packet []byte)
	}
	state *stateFile
}

// run sends every change at once, until ctx ends.
func (p publisher) run(ctx context.Context) error {
	changes, stop := p.catalog.Watch()
	defer stop()
	epoch := p.state.get().Epoch
	for {
		p.send()
		if e := p.catalog.Epoch(); e > epoch { // a peer remembered a later run of this host than its disk did
			epoch = e
			p.state.update(func(d *stateDocument) { d.Epoch = e })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
	}
}

// send hands all changes that were not sent yet to the gossip. It does not wait.
func (p publisher) send() {
	for _, packet := range p.catalog.DrainOutbox() {
		p.gossip.Broadcast(packet.Key, packet.Wire)
	}
}

// Tombstones are kept for tombstoneAge: if a host that was cut off for longer still
// announces a deleted record, the record's owner corrects it. Older tombstones are
// removed every collectEvery.
const (
	tombstoneAge = time.Hour
	collectEvery = 10 * time.Minute
)

// collectTombstones bounds their number where containers come and go.
func collectTombstones(ctx context.Context, c *catalog.Catalog) error {
	for wake.Sleep(ctx, collectEvery) {
		c.DropOldTombstones(time.Now(), tombstoneAge)
	}
	return nil
}
