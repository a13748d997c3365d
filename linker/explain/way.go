package explain

import (
	"fmt"
	"net/netip"
	"slices"

	"tombolo/linker/inspect"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// maxInstances bounds the instances of a service to which the way is walked.
const maxInstances = 8

// ways walks to each instance that may get the connection.
func (w *walk) ways() bool {
	for _, ep := range w.instances[:min(maxInstances, len(w.instances))] {
		if !w.route(ep) || !w.listener(ep) || !w.connection(ep) {
			return false
		}
	}
	return true
}

// ends looks at the instances alone, for a sender outside of the overlay.
func (w *walk) ends() bool {
	for _, ep := range w.instances[:min(maxInstances, len(w.instances))] {
		if !w.listener(ep) {
			return false
		}
	}
	return true
}

// route checks the way that the sender's kernel takes: route, neighbour, forwarding entry.
func (w *walk) route(ep *record.Endpoint) bool {
	host := w.From.Endpoints[0].Host
	look, asked := w.Ways[ep.Key()]
	if !asked || look.Route == nil {
		return w.unknown("route", host, w.notAsked(host))
	}
	r := *look.Route
	mend := fmt.Sprintf("the linker of %s puts this right within 2 s; if it does not: tombolo doctor --host %s", host, host)
	if r.Error != "" {
		return w.failed(Step{Name: "route", Host: host, Found: fmt.Sprintf("the kernel of %s forwards no packet from %s to %s: %s", host, w.From.Text, ep.Addr4, r.Error), Remedy: mend})
	}
	if ep.Host == host {
		return w.ok("route", host, "%s is behind %s", ep.Addr4, r.Device)
	}
	return w.tunnel(ep, r, mend)
}

func (w *walk) tunnel(ep *record.Endpoint, r inspect.Route, mend string) bool {
	host, peer := w.From.Endpoints[0].Host, w.Snapshot.Hosts[ep.Host]
	via := fmt.Sprintf("%s leaves %s by %s", ep.Addr4, host, r.Device)
	switch {
	case peer == nil || r.Device != tunnelDevice && !r.Gateway.IsValid():
		return w.failed(Step{Name: "route", Host: host, Found: via + ", not by the tunnel to " + ep.Host,
			Remedy: "find who made the route: ip route get " + ep.Addr4.String() + "; a VPN that routes a part of the pool needs another pool (--pool)"})
	case r.Device != tunnelDevice: // modes without a tunnel
		return w.ok("route", host, "%s by way of %s", via, r.Gateway)
	case r.Neighbour == "":
		return w.failed(Step{Name: "neighbour", Host: host, Found: fmt.Sprintf("%s has no MAC address for %s on %s", host, r.Gateway, r.Device), Remedy: mend})
	case r.Peer != peer.Underlay:
		return w.failed(Step{Name: "forwarding entry", Host: host,
			Found: fmt.Sprintf("the device %s sends the MAC address %s to %s, want %s at %s", r.Device, r.Neighbour, nobody(r.Peer), ep.Host, peer.Underlay), Remedy: mend})
	}
	return w.ok("route", host, "%s to %s at %s", via, ep.Host, peer.Underlay)
}

// tunnelDevice is overlay.Device; this package does not import the overlay.
const tunnelDevice = "tombolo0"

func nobody(a netip.Addr) string {
	if !a.IsValid() {
		return "nobody"
	}
	return a.String()
}

// listener checks that a process of the target listens on the port.
func (w *walk) listener(ep *record.Endpoint) bool {
	look, asked := w.Ends[ep.Key()]
	port := w.Port
	if w.From.Outside {
		port = w.inside(ep)
	}
	switch {
	case !asked || look.Sockets == nil:
		return w.unknown("listener", ep.Host, w.notAsked(ep.Host))
	case look.Sockets.Error != "":
		return w.unknown("listener", ep.Host, look.Sockets.Error)
	case port.Number == 0:
		return w.ok("listener", ep.Host, "%s listens on %s", describe(ep), sockets(look.Sockets.Listening))
	}
	var reachable, other []inspect.Socket
	for _, s := range look.Sockets.Listening {
		switch {
		case s.Proto != port.Proto || s.Addr.Port() != port.Number:
		case s.Addr.Addr().IsUnspecified(), s.Addr.Addr() == ep.Addr4, s.Addr.Addr() == ep.Addr6:
			reachable = append(reachable, s)
		default:
			other = append(other, s)
		}
	}
	switch {
	case len(reachable) > 0:
		return w.ok("listener", ep.Host, "%s listens on %s", describe(ep), sockets(reachable))
	case len(other) > 0:
		return w.failed(Step{Name: "listener", Host: ep.Host, Found: fmt.Sprintf("%s listens on %s only, which nobody else reaches", describe(ep), sockets(other)),
			Remedy: "let the program listen on 0.0.0.0 or ::"})
	}
	return w.failed(Step{Name: "listener", Host: ep.Host,
		Found:  fmt.Sprintf("nothing in %s listens on port %d/%s; it listens on %s", describe(ep), port.Number, port.Proto, sockets(look.Sockets.Listening)),
		Remedy: fmt.Sprintf("ask for the right port, or look at why the program does not listen: tombolo logs %s", ep.Service)})
}

func sockets(all []inspect.Socket) string {
	if len(all) == 0 {
		return "no port"
	}
	texts := map[string]bool{}
	for _, s := range all {
		texts[s.Addr.String()+"/"+s.Proto] = true
	}
	var sorted []string
	for text := range texts {
		sorted = append(sorted, text)
	}
	slices.Sort(sorted)
	return list(sorted, func(s string) string { return s })
}

// connection looks at the attempt to connect from inside of the sender.
func (w *walk) connection(ep *record.Endpoint) bool {
	host := w.From.Endpoints[0].Host
	look := w.Ways[ep.Key()]
	if look.Connection == nil {
		return true // UDP, or no port
	}
	to := netip.AddrPortFrom(ep.Addr4, w.Port.Number)
	if p := w.dropped(host, ep.Host); p != nil && look.Connection.Outcome != inspect.Connected {
		return w.failed(Step{Name: "connection", Host: ep.Host,
			Found: fmt.Sprintf("%s gets no connection to %s: %s", w.From.Text, to, p.Reason), Remedy: p.Remedy})
	}
	switch look.Connection.Outcome {
	case inspect.Connected:
		return w.ok("connection", host, "%s has opened a connection to %s", w.From.Text, to)
	case inspect.Refused:
		return w.failed(Step{Name: "connection", Host: ep.Host, Found: fmt.Sprintf("%s was refused at %s, though its process listens: %s", w.From.Text, to, look.Connection.Error),
			Remedy: fmt.Sprintf("the policy in the kernel of %s may be older than the catalog: tombolo linker status there", ep.Host)})
	case inspect.Unreachable:
		return w.failed(Step{Name: "connection", Host: host, Found: fmt.Sprintf("%s cannot reach %s: %s", w.From.Text, to, look.Connection.Error),
			Remedy: fmt.Sprintf("tombolo doctor --host %s", host)})
	default: // Timeout
		return w.failed(Step{Name: "connection", Host: host, Found: fmt.Sprintf("nothing answered %s at %s within 2 s", w.From.Text, to),
			Remedy: fmt.Sprintf("packets are lost on the way: let UDP port 8480 pass between the hosts; tombolo doctor on %s and %s", host, ep.Host)})
	}
}

// dropped returns a problem of one of the hosts whose own firewall may drop the packets; nil if
// there is none.
func (w *walk) dropped(hosts ...string) *problem.Problem {
	for _, name := range hosts {
		for _, p := range w.Hosts[name].Problems {
			if p.Name == problem.FirewallDrops.Name {
				return &p
			}
		}
	}
	return nil
}

// published checks that the outside can reach the target at all: at a published port.
func (w *walk) published() bool {
	var local []string
	for _, ep := range w.instances {
		for _, p := range w.ports(ep) {
			if w.Port.Number != 0 && (p.HostPort != w.Port.Number || p.Proto != w.Port.Proto) {
				continue
			}
			if p.HostIP.IsLoopback() {
				local = append(local, fmt.Sprintf("%s:%d of %s", p.HostIP, p.HostPort, ep.Host))
				continue
			}
			return w.ok("published port", ep.Host, "port %d/%s of %s leads to port %d of %s", p.HostPort, p.Proto, ep.Host, p.Port, describe(ep))
		}
	}
	if len(local) > 0 {
		return w.failed(Step{Name: "published port", Found: fmt.Sprintf("%s is published at %s only", w.To.Text, list(local, func(s string) string { return s })),
			Remedy: "leave out 127.0.0.1 in ports: of the service"})
	}
	wanted := "no port"
	if w.Port.Number != 0 {
		wanted = fmt.Sprintf("no port %d/%s", w.Port.Number, w.Port.Proto)
	}
	return w.failed(Step{Name: "published port", Found: fmt.Sprintf("%s publishes %s, so the outside cannot reach it", w.To.Text, wanted),
		Remedy: "add ports: to the service"})
}

// ports returns the ports of the hosts that lead to ep: its own, and those that every host serves.
func (w *walk) ports(ep *record.Endpoint) []record.PublishedPort {
	all := slices.Clone(ep.Published)
	if a := w.Snapshot.Apps[ep.App]; a != nil {
		all = append(all, a.Services[ep.Service].Ingress...)
	}
	return all
}

// inside returns the port of ep to which the published port in question leads.
func (w *walk) inside(ep *record.Endpoint) record.Port {
	for _, p := range w.ports(ep) {
		if p.HostPort == w.Port.Number && p.Proto == w.Port.Proto || w.Port.Number == 0 {
			return record.Port{Number: p.Port, Proto: p.Proto}
		}
	}
	return record.Port{Proto: w.Port.Proto}
}
