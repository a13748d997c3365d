package linker

import (
	"fmt"
	"net/netip"
	"time"

	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/ipam"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// thisHost makes this host's record.
type thisHost struct {
	id       string // record.Host.Key
	name     string
	version  string
	underlay netip.Addr
	catalog  *catalog.Catalog
	facts    *hostFacts // nil: none are known
}

// record describes this host with a claim; nil: it has none.
func (t thisHost) record(c *block.Claim, hold record.Hold) *record.Host {
	h := &record.Host{Name: t.name, Version: t.version, Underlay: t.underlay}
	if t.id != t.name {
		h.ID = t.id
	}
	if c != nil {
		h.Hold = hold
		h.Block4, h.Block6, h.Claimed = c.Block4, c.Block6, c.Claimed
		h.Overlay4, h.Overlay6 = ipam.HostAddr(c.Block4), ipam.HostAddr(c.Block6)
		h.MAC = overlay.HardwareAddr(h.Overlay4).String()
	}
	h.MTU, h.Troubles, h.Addresses = t.facts.get()
	return h
}

// announce puts a description of this host into the catalog, from where it spreads. It spreads
// again if the catalog has the same one already.
func (t thisHost) announce(h *record.Host) error {
	key := record.Key{Kind: record.KindHost, Name: t.id}
	changed, err := t.catalog.Put(record.Record{Key: key, Host: h})
	if err == nil && !changed {
		err = t.catalog.Repeat(key)
	}
	if err != nil {
		return fmt.Errorf("announce this host: %w", err)
	}
	return nil
}

// refresh announces what has changed in this host's facts. The claim is that of the record, if
// there is one: the keeper of the block may be about to change it.
func (t thisHost) refresh(c *block.Claim) error {
	h := t.record(c, record.HoldSettled)
	if last := t.catalog.Snapshot().Hosts[t.id]; last != nil && last.Block4.IsValid() {
		now := *last
		now.MTU, now.Troubles, now.Addresses = h.MTU, h.Troubles, h.Addresses
		h = &now
	}
	return t.announce(h)
}

// announceRestart tells the peers that this linker may come back within a time, so that they do
// not suspend its containers meanwhile. It does nothing while this host has no block.
func (t thisHost) announceRestart(window time.Duration) error {
	h := t.catalog.Snapshot().Hosts[t.id]
	if h == nil || !h.Block4.IsValid() {
		return nil
	}
	restarting := *h
	restarting.Restarting = window.Truncate(time.Millisecond)
	return t.announce(&restarting)
}
