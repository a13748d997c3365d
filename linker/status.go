package linker

import (
	"context"
	"log/slog"
	"time"

	"tombolo/dns"
	"tombolo/linker/api"
	"tombolo/linker/docker"
	"tombolo/linker/gossip"
	"tombolo/linker/ipam"
	"tombolo/linker/plugin"
)

// status reports the state of the linker.
type status struct {
	version   string
	started   time.Time
	effective *effectiveCache
	gossip    *gossip.Gossip
	docker    *docker.Engine
	matched   latch // see converger
	problems  *problems
	counters  counters
}

// Status implements api.Host.
func (s status) Status(context.Context) (api.Status, error) {
	e := s.effective.get()
	out := api.Status{
		Version: s.version, Started: s.started, Host: *e.self, Problems: s.problems.list(), Counters: s.counters.all(),
	}
	for _, m := range s.gossip.Members() {
		p := api.Peer{Name: m.Name, Underlay: m.Addr.Addr().String(), State: string(m.State)}
		if m.State == gossip.StateDead {
			p.State = "suspended"
		}
		if h := e.Hosts[m.Name]; h != nil {
			p.Underlay = h.Underlay.String()
		}
		out.Peers = append(out.Peers, p)
	}
	select {
	case <-s.matched.opened:
		out.Ready = s.problems.ready() && s.docker.Snapshot().NetworkID != ""
	default:
	}
	return out, nil
}

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
	g, d := c.gossip.Stats(), c.dns.Stats()
	out := map[string]uint64{
		"gossip.malformed": g.Malformed, "gossip.conflicts": g.Conflicts, "gossip.sent": g.Sent, "gossip.received": g.Received,
		"gossip.news": g.News, "gossip.repairs": g.Repairs, "gossip.repaired": g.Repaired, "gossip.dropped": g.Dropped,

		"dns.queries": d.Queries, "dns.answered": d.Answered, "dns.forwarded": d.Forwarded, "dns.refused": d.Refused,
		"dns.unserved": d.Unserved, "dns.malformed": d.Malformed, "dns.limited": d.Limited, "dns.truncated": d.Truncated,

		"plugin.refused": c.plugin.Refused(), "addresses.exhausted": c.addresses.Exhausted(),
	}
	packets, err := c.plane.Counters()
	if err != nil {
		c.log.Debug("cannot count packets", "err", err)
	}
	for name, n := range packets {
		out["overlay."+name] = n
	}
	return out
}
