package linker

import "maps"

// counters says how often what happened that nobody was told of, by part.
func (l *Linker) counters() map[string]uint64 {
	g, d := l.gossip.Stats(), l.dns.Stats()
	all := map[string]uint64{
		"gossip.malformed": g.Malformed, "gossip.conflicts": g.Conflicts, "gossip.sent": g.Sent, "gossip.received": g.Received,
		"gossip.news": g.News, "gossip.repairs": g.Repairs, "gossip.repaired": g.Repaired, "gossip.dropped": g.Dropped,

		"dns.queries": d.Queries, "dns.answered": d.Answered, "dns.forwarded": d.Forwarded, "dns.refused": d.Refused,
		"dns.unserved": d.Unserved, "dns.malformed": d.Malformed, "dns.limited": d.Limited, "dns.truncated": d.Truncated,

		"plugin.refused": l.plugin.Refused(), "addresses.exhausted": l.addresses.Exhausted(),
	}
	packets, err := l.plane.Counters()
	if err != nil {
		l.log.Debug("cannot count packets", "err", err)
	}
	for name, n := range maps.All(packets) {
		all["overlay."+name] = n
	}
	return all
}
