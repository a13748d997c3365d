package linker

import (
	"context"
	"time"

	"tombolo/linker/api"
	"tombolo/linker/block"
	"tombolo/linker/docker"
	"tombolo/linker/gossip"
)

// status reports the state of the linker.
type status struct {
	version  string
	started  time.Time
	host     thisHost
	block    *block.Keeper
	gossip   *gossip.Gossip
	docker   *docker.Engine
	matched  latch // see converger
	problems *problems
	counters counters
}

// Status implements api.Host.
func (s status) Status(context.Context) (api.Status, error) {
	out := api.Status{Version: s.version, Started: s.started, Problems: s.problems.list(), Counters: s.counters.all()}
	var claim block.Claim
	if c := s.block.Current(); c != nil {
		claim = *c
	}
	out.Host = *s.host.record(claim, time.Time{})
	hosts := s.host.catalog.Snapshot().Hosts
	for _, m := range s.gossip.Members() {
		p := api.Peer{Name: m.Name, Underlay: m.Addr.Addr().String(), State: string(m.State)}
		if m.State == gossip.StateDead {
			p.State = "suspended"
		}
		if h := hosts[m.Name]; h != nil {
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
