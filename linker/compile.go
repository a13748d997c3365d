package linker

import (
	"net/netip"
	"slices"

	"tombolo/linker/attach"
	"tombolo/linker/reach"
	"tombolo/overlay"
)

// compile returns the whole wanted state of this host's data plane; base has the parts
// that never change. The error names the published ports that it leaves out.
func compile(base overlay.Config, e *effectiveCatalog, endpoints []attach.Endpoint) (overlay.Config, error) {
	cfg := base
	cfg.Self, cfg.Pool6, cfg.Peers = peer(e.self), e.pool6, e.peers
	for _, ep := range endpoints {
		if !ep.Joined {
			continue
		}
		open, _ := e.Outside(ep.ID)
		cfg.Endpoints = append(cfg.Endpoints, overlay.Endpoint{
			ID: ep.ID, Addr4: ep.Addr4, Addr6: ep.Addr6, Sandbox: ep.Sandbox, Internal: !open,
		})
	}
	for _, g := range e.Grants(e.self.Name) {
		cfg.Allow = append(cfg.Allow, allows(g)...)
	}
	var conflict error
	cfg.Publish, conflict = publications(endpoints, e.Snapshot, e.Relation)
	if len(cfg.Publish) > 0 {
		cfg.Internal = confinedElsewhere(e)
	}
	return cfg, conflict
}

// confinedElsewhere returns the addresses of other hosts' containers that may not use the
// published ports of this one, sorted.
func confinedElsewhere(e *effectiveCatalog) []netip.Addr {
	var out []netip.Addr
	for id, ep := range e.Endpoints {
		if ep.Host == e.self.Name {
			continue
		}
		if open, _ := e.Outside(id); open {
			continue
		}
		for _, addr := range []netip.Addr{ep.Addr4, ep.Addr6} {
			if addr.IsValid() {
				out = append(out, addr)
			}
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// allows expresses a grant in addresses, once for each family that both ends have.
func allows(g reach.Grant) []overlay.Allow {
	var ports []overlay.HostPort
	for _, p := range g.Ports {
		ports = append(ports, overlay.HostPort{Port: p.Number, Proto: p.Proto})
	}
	var out []overlay.Allow
	for _, pair := range [][2]netip.Addr{{g.From.Addr4, g.To.Addr4}, {g.From.Addr6, g.To.Addr6}} {
		if pair[0].IsValid() && pair[1].IsValid() {
			out = append(out, overlay.Allow{From: pair[0], To: pair[1], Ports: ports})
		}
	}
	return out
}

// blockedPorts are the ports that containers may not reach outside of the pool: the
// linker's own, and those of the control planes that run on the machines (--blocked-ports).
func blockedPorts(cfg Config) []overlay.HostPort {
	ports := []overlay.HostPort{
		{Port: cfg.GossipPort, Proto: "tcp"}, {Port: cfg.GossipPort, Proto: "udp"}, {Port: cfg.VXLANPort, Proto: "udp"},
		{Port: 7981, Proto: "tcp"}, {Port: 7982, Proto: "tcp"},
	}
	for _, p := range cfg.BlockedPorts {
		ports = append(ports, overlay.HostPort{Port: p, Proto: "tcp"})
	}
	return ports
}
