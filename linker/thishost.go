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
	name     string
	underlay netip.Addr
	catalog  *catalog.Catalog
	facts    *hostFacts // nil: none are known
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
	h.MTU, h.Troubles = t.facts.get()
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
