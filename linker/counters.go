package linker

import (
	"log/slog"

	"tombolo/dns"
	"tombolo/linker/gossip"
	"tombolo/linker/ipam"
	"tombolo/linker/plugin"
)

// counters collects the counters of the parts.
type counters struct {
	gossip    *gossip.Gossip
	dns       *dns.Server
	plugin    *plugin.Server
	addresses *ipam.Allocator
	plane     DataPlane
	log       *slog.Logger
}

// all returns, per part, counts of events that are not logged.
func (c counters) all() map[string]uint64 {
	d := c.dns.Stats()
	out := map[string]uint64{
		"dns.queries": d.Queries, "dns.answered": d.Answered, "dns.forwarded": d.Forwarded, "dns.refused": d.Refused,
		"dns.unserved": d.Unserved, "dns.malformed": d.Malformed, "dns.limited": d.Limited, "dns.truncated": d.Truncated,

		"plugin.refused": c.plugin.Refused(), "addresses.exhausted": c.addresses.Exhausted(),
	}
	packets, err := c.plane.Counters()
	if err != nil {
		c.log.Debug("cannot count packets", "err", err)
	}
	for part, counts := range map[string]map[string]uint64{"gossip": c.gossip.Counters(), "overlay": packets} {
		for name, n := range counts {
			out[part+"."+name] = n
		}
	}
	return out
}
