package linker

import (
	"net/netip"

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
		known := e.Endpoints[ep.ID]
		cfg.Endpoints = append(cfg.Endpoints, overlay.Endpoint{
			ID: ep.ID, Addr4: ep.Addr4, Addr6: ep.Addr6, Sandbox: ep.Sandbox,
			// No egress until identified: otherwise an `internal` container could briefly
			// reach the outside.
			Internal: known == nil || known.Internal,
		})
	}
	for _, g := range e.Grants(e.self.Name) {
		cfg.Allow = append(cfg.Allow, allows(g)...)
	}
	var conflict error
	cfg.Publish, conflict = publications(endpoints, e.Snapshot, e.Relation)
	return cfg, conflict
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

// blockedPorts are the ports of the host that containers may not reach: those of the
// linker, of Docker and of Mesos.
func blockedPorts(cfg Config) []overlay.HostPort {
	ports := []overlay.HostPort{
		{Port: cfg.GossipPort, Proto: "tcp"}, {Port: cfg.GossipPort, Proto: "udp"}, {Port: cfg.VXLANPort, Proto: "udp"},
	}
	for _, p := range []uint16{2375, 2376, 5050, 5051, 7070, 7981, 7982} {
		ports = append(ports, overlay.HostPort{Port: p, Proto: "tcp"})
	}
	return ports
}
