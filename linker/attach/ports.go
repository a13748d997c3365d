package attach

import (
	"fmt"
	"slices"

	"tombolo/linker/record"
)

// Containers that ask for any host port get one of IANA's dynamic range.
const (
	firstDynamic = 49152
	lastDynamic  = 65535
)

// hostPorts decides which ports of the host an endpoint may publish. It holds them with
// sockets, and changes nothing else.
type hostPorts struct {
	endpoints      map[string]*Endpoint // the table's
	sockets        Sockets
	describe       func(id string) string
	withoutService func(id string) bool
}

// claim returns want with a free port in place of each that is left open, or an error
// that names the holder of a port that is taken. A port that the endpoint already has
// stays its own. Ports that it took before an error are given up by keep.
func (h hostPorts) claim(id string, want []record.PublishedPort) ([]record.PublishedPort, error) {
	own := h.endpoints[id]
	var out []record.PublishedPort
	for _, p := range want {
		if own != nil {
			if i := slices.IndexFunc(own.Published, func(o record.PublishedPort) bool { return satisfies(o, p) }); i >= 0 {
				out = append(out, own.Published[i])
				continue
			}
		}
		got, err := h.claimOne(id, p, out)
		if err != nil {
			return nil, err
		}
		out = append(out, got)
	}
	return out, nil
}

// claimOne treats taken as ports that the endpoint has.
func (h hostPorts) claimOne(id string, p record.PublishedPort, taken []record.PublishedPort) (record.PublishedPort, error) {
	first, last := p.HostPort, p.Last
	if first == 0 {
		first, last = firstDynamic, lastDynamic
	}
	if last == 0 {
		if holder := h.holder(id, p, taken); holder != "" {
			return p, fmt.Errorf("port %d/%s of this host is taken by %s", p.HostPort, p.Proto, holder)
		}
		return p, nil
	}
	p.Last = 0
	for n := int(first); n <= int(last); n++ {
		p.HostPort = uint16(n)
		if !h.published(p) && h.holder(id, p, taken) == "" {
			return p, nil
		}
	}
	return p, fmt.Errorf("no port of this host from %d to %d is free for %d/%s", first, last, p.Port, p.Proto)
}

// holder describes the holder of p's host port: another endpoint, the same endpoint for
// another port, or a process of the host. It returns "" if the port was free, and holds it. An endpoint
// that publishes exactly p does not count, because the two may be replicas of one
// service, which share the port.
func (h hostPorts) holder(id string, p record.PublishedPort, taken []record.PublishedPort) string {
	for other, ep := range h.endpoints {
		holds := func(o record.PublishedPort) bool { return overlaps(o, p) && (o != p || h.withoutService(other)) }
		if other == id || !slices.ContainsFunc(ep.Published, holds) {
			continue
		}
		if name := h.describe(other); name != "" {
			return name
		}
		return fmt.Sprintf("endpoint %s (%s)", Short(other), ep.Addr4)
	}
	if slices.ContainsFunc(taken, func(o record.PublishedPort) bool { return overlaps(o, p) }) {
		return "another port of the same container"
	}
	return h.sockets.Take(p)
}

// keep gives up the ports that no endpoint publishes.
func (h hostPorts) keep() {
	var all []record.PublishedPort
	for _, ep := range h.endpoints {
		all = append(all, ep.Published...)
	}
	h.sockets.Keep(all)
}

// published reports whether any endpoint publishes exactly p.
func (h hostPorts) published(p record.PublishedPort) bool {
	for _, ep := range h.endpoints {
		if slices.Contains(ep.Published, p) {
			return true
		}
	}
	return false
}

// satisfies reports whether have is a possible result of a call that asked for want.
func satisfies(have, want record.PublishedPort) bool {
	if want.HostPort == 0 || want.HostPort <= have.HostPort && have.HostPort <= want.Last {
		want.HostPort, want.Last = have.HostPort, 0
	}
	return have == want
}

// overlaps reports whether a and b claim the same port of the same address.
func overlaps(a, b record.PublishedPort) bool {
	return a.HostPort == b.HostPort && a.Proto == b.Proto &&
		(!a.HostIP.IsValid() || !b.HostIP.IsValid() || a.HostIP == b.HostIP)
}

// mergePorts adds to have the ports of more that it does not satisfy.
func mergePorts(have, more []record.PublishedPort) []record.PublishedPort {
	out := slices.Clone(have)
	for _, p := range more {
		if !slices.ContainsFunc(have, func(o record.PublishedPort) bool { return satisfies(o, p) }) {
			out = append(out, p)
		}
	}
	return out
}
