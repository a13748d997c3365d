package linker

import (
	"log/slog"
	"net/netip"

	"tombolo/linker/attach"
	"tombolo/linker/gossip"
	"tombolo/linker/ipam"
)

// blockPeers implements block.Peers.
type blockPeers struct {
	gossip *gossip.Gossip
	state  *stateFile
	names  nameConflicts
}

func (p blockPeers) Searched() <-chan struct{} { return p.gossip.Ready() }

func (p blockPeers) Count() (answering, known int) {
	for _, m := range p.gossip.Members() {
		known++
		if m.State == gossip.StateAlive {
			answering++
		}
	}
	return answering, max(known, len(p.state.get().Members))
}

func (p blockPeers) NameTaken() bool { return p.names.own() }

// blockAddresses implements block.Addresses.
type blockAddresses struct {
	*attach.Table
	addresses *ipam.Allocator
	log       *slog.Logger
}

func (a blockAddresses) Refuse(reason string) { a.addresses.Refuse(reason) }

// UseBlock goes on with a full disk: Docker's next request for an address reports it
// too, if the disk is still full then.
func (a blockAddresses) UseBlock(block4, block6 netip.Prefix) error {
	err := a.Table.UseBlock(block4, block6)
	if diskFull(err) {
		a.log.Error("cannot save the addresses", "err", err)
		return nil
	}
	return err
}
