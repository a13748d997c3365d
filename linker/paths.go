package linker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"

	"tombolo/internal/state"
	"tombolo/linker/gossip"
	"tombolo/linker/probe"
	"tombolo/linker/problem"
	"tombolo/overlay"
)

// newProber makes the part that finds out what passes between this host and others.
func (l *Linker) newProber() (*probe.Prober, error) {
	cfg := l.cfg
	file := filepath.Join(cfg.StateDir, "paths.json")
	mtus := map[string]int{}
	if err := state.LoadOrReset(file, &mtus, cfg.Log, "the MTUs of paths are found again"); err != nil {
		return nil, err
	}
	reporter := pathReporter{
		underlay: cfg.Underlay, port: cfg.VXLANPort, problems: l.problems,
		nameOf: func(key string) string { return l.catalog.Snapshot().HostName(key) },
	}
	return probe.New(probe.Config{
		Cluster: &probeCluster{effective: l.effective, gossip: l.gossip, plane: l.plane, matched: l.matched},
		Listen: func(ctx context.Context, addr netip.Addr) (probe.Tunnel, error) {
			return probe.Listen(ctx, netip.AddrPortFrom(addr, cfg.GossipPort))
		},
		Report: reporter.report,
		MTUs:   mtus,
		Save: func(mtus map[string]int) {
			if err := state.Save(file, mtus, false); err != nil {
				cfg.Log.Warn("the next run has to find the MTUs of paths again", "err", err)
			}
		},
		Log: cfg.Log,
	}), nil
}

// probeCluster implements probe.Cluster.
type probeCluster struct {
	effective *effectiveCache
	gossip    interface {
		Members() []gossip.Member
		Tell(member string, note []byte)
	}
	plane   interface{ MTU() int }
	matched latch

	mu      sync.Mutex
	derived *effectiveCatalog // from which linked was made
	linked  map[string]bool   // by record.Host.Key, see linkedHosts
}

func (c *probeCluster) Tell(peer string, note []byte) { c.gossip.Tell(peer, note) }

func (c *probeCluster) Self() (netip.Addr, int) {
	select {
	case <-c.matched.opened:
		return c.effective.get().self.Overlay4, c.plane.MTU()
	default:
		return netip.Addr{}, 0
	}
}

func (c *probeCluster) Peers() (all []probe.Peer) {
	e := c.effective.get()
	linked := c.linkedHosts(e)
	alive := map[string]bool{}
	for _, m := range c.gossip.Members() {
		alive[m.Name] = m.Alive
	}
	for _, p := range e.peers {
		if alive[p.ID] && !e.Suspended[p.ID] && p.Overlay4.IsValid() {
			all = append(all, probe.Peer{Name: p.ID, Underlay: p.Underlay, Addr: p.Overlay4, MTU: p.MTU, Linked: linked[p.ID]})
		}
	}
	return all
}

// linkedHosts returns the hosts with containers of an app that has containers here too, or that
// may send to containers here.
func (c *probeCluster) linkedHosts(e *effectiveCatalog) map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.derived == e {
		return c.linked
	}
	apps, linked := map[string]bool{}, map[string]bool{}
	for _, ep := range e.Endpoints {
		if ep.Host == e.self.Key() && ep.App != "" {
			apps[ep.App] = true
		}
	}
	for _, ep := range e.Endpoints {
		if apps[ep.App] {
			linked[ep.Host] = true
		}
	}
	for _, g := range e.Groups(e.self.Key()) {
		for _, ep := range g.From {
			linked[ep.Host] = true
		}
	}
	c.derived, c.linked = e, linked
	return linked
}

// withMTUs returns the peers with the MTUs of the paths to them, where these are smaller than
// what the peers themselves announce.
func withMTUs(peers []overlay.Peer, mtus map[string]int) []overlay.Peer {
	out := make([]overlay.Peer, len(peers))
	for i, p := range peers {
		if mtu := mtus[p.ID]; mtu > 0 && (p.MTU == 0 || mtu < p.MTU) {
			p.MTU = max(mtu, overlay.MinMTU)
		}
		out[i] = p
	}
	return out
}

// pathReporter turns what the prober finds into problems.
type pathReporter struct {
	underlay netip.Addr // of this host
	port     uint16     // of VXLAN
	problems *problem.Set
	nameOf   func(key string) string // the name of a host by record.Host.Key
}

func (r pathReporter) report(found probe.Found) {
	var blocked, narrow, clocks []error
	for _, f := range found.Paths {
		f.Peer = r.nameOf(f.Peer)
		if f.MTU == 0 {
			blocked = append(blocked, problem.Found{Subject: f.Peer, Reason: r.blocked(f)})
		} else {
			narrow = append(narrow, problem.Found{Subject: f.Peer, Reason: r.narrow(f)})
		}
	}
	for _, c := range found.Clocks {
		c.Peer = r.nameOf(c.Peer)
		clocks = append(clocks, problem.Found{Subject: c.Peer, Reason: skewed(c)})
	}
	r.problems.Report(problem.PathBlocked, errors.Join(blocked...))
	r.problems.Report(problem.PathNarrow, errors.Join(narrow...))
	r.problems.Report(problem.ClockDiffers, errors.Join(clocks...))
	r.problems.Report(problem.ProbeImpossible, found.Err)
}

func skewed(c probe.Skew) string {
	if c.Ahead < 0 {
		return fmt.Sprintf("the clock of %s is %s behind that of this host", c.Peer, -c.Ahead)
	}
	return fmt.Sprintf("the clock of %s is %s ahead of that of this host", c.Peer, c.Ahead)
}

func (r pathReporter) blocked(f probe.Finding) string {
	if f.Outgoing {
		return fmt.Sprintf("no packet of any size from this host reaches %s: UDP port %d is blocked from %s to %s", f.Peer, r.port, r.underlay, f.Underlay)
	}
	return fmt.Sprintf("no packet of any size from %s reaches this host: UDP port %d is blocked from %s to %s", f.Peer, r.port, f.Underlay, r.underlay)
}

func (r pathReporter) narrow(f probe.Finding) string {
	way, from, to := "to "+f.Peer, r.underlay, f.Underlay
	if !f.Outgoing {
		way, from, to = "from "+f.Peer, f.Underlay, r.underlay
	}
	return fmt.Sprintf("packets of more than %d bytes %s do not arrive, but interfaces carry %d: from %s to %s, UDP port %d is blocked for packets of more than about %d bytes",
		f.MTU, way, f.Full, from, to, r.port, f.MTU+tunnelHeaders(f.Underlay))
}

// tunnelHeaders is the size of what VXLAN adds to an IP packet, in bytes.
func tunnelHeaders(underlay netip.Addr) int {
	if underlay.Is6() {
		return 70
	}
	return 50
}

// knownMTUs are the MTUs of paths that the prober has found: probe.Prober.
type knownMTUs interface {
	MTUs() map[string]int
	Watch() (changes <-chan struct{}, cancel func())
}
