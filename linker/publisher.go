package linker

import (
	"context"

	"tombolo/linker/catalog"
)

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
