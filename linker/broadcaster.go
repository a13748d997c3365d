package linker

import (
	"context"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/catalog"
)

// broadcaster gives the changes that this host makes to the catalog to the gossip.
type broadcaster struct {
	catalog *catalog.Catalog
	gossip  interface {
		Broadcast(key string, packet []byte)
	}
	state *stateFile
}

// run sends every change at once, until ctx ends.
func (b broadcaster) run(ctx context.Context) error {
	changes, stop := b.catalog.Watch()
	defer stop()
	epoch := b.state.get().Epoch
	for {
		b.send()
		if e := b.catalog.Epoch(); e > epoch { // a peer remembers a later run of this host than the state file does
			epoch = e
			b.state.update(func(d *stateDocument) { d.Epoch = e })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
	}
}

// send hands all changes that were not sent yet to the gossip. It does not wait.
func (b broadcaster) send() {
	for _, packet := range b.catalog.DrainOutbox() {
		b.gossip.Broadcast(packet.Key, packet.Wire)
	}
}

// Tombstones are kept for tombstoneAge: if a host that was cut off for longer still
// announces a deleted record, the record's owner corrects it. Older tombstones are
// removed every collectEvery.
const (
	tombstoneAge = time.Hour
	collectEvery = 10 * time.Minute
)

// collectTombstones removes old tombstones until ctx ends, so that they do not pile up
// where containers come and go.
func collectTombstones(ctx context.Context, c *catalog.Catalog) error {
	for wake.Sleep(ctx, collectEvery) {
		c.DropOldTombstones(time.Now(), tombstoneAge)
	}
	return nil
}
