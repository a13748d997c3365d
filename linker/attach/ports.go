package attach

import (
	"fmt"
	"slices"

	"tombolo/linker/record"
)

// Host ports that are chosen for containers which ask for any lie here: IANA's
// dynamic range.
const (
	firstDynamic = 49152
	lastDynamic  = 65535
)

// claimPorts resolves ports without a number and refuses those that are taken.
// t.mu is held; nothing is written.
func (t *Table) claimPorts(id string, want []record.PublishedPort) ([]record.PublishedPort, error) {
	own := t.doc.Endpoints[id]
	var out []record.PublishedPort
	for _, p := range want {
		if own != nil {
			if i := slices.IndexFunc(own.Published, func(o record.PublishedPort) bool { return satisfies(o, p) }); i >= 0 {
				out = append(out, own.Published[i])
				continue
			}
		}
		got, err := t.claimPort(id, p, out)
		if err != nil {
			return nil, err
		}
		out = append(out, got)
	}
	return out, nil
}

func (t *Table) claimPort(id string, p record.PublishedPort, taken []record.PublishedPort) (record.PublishedPort, error) {
	first, last := p.HostPort, p.Last
	if first == 0 {
		first, last = firstDynamic, lastDynamic
	}
	if last == 0 {
		if who := t.holder(id, p, taken); who != "" {
			return p, fmt.Errorf("port %d/%s of this host is taken by %s", p.HostPort, p.Proto, who)
		}
		return p, nil
	}
	p.Last = 0
	for n := int(first); n <= int(last); n++ {
		p.HostPort = uint16(n)
		if !t.published(p) && t.holder(id, p, taken) == "" {
			return p, nil
		}
	}
	return p, fmt.Errorf("no port of this host from %d to %d is free for %d/%s", first, last, p.Port, p.Proto)
}

// holder says who holds p's host port: another endpoint, the same one for another
// port, or a process of the host. An endpoint that publishes the very same holds
// it from nobody: the two may be replicas of one service, which share it.
func (t *Table) holder(id string, p record.PublishedPort, taken []record.PublishedPort) string {
	for other, ep := range t.doc.Endpoints {
		held := func(o record.PublishedPort) bool { return overlaps(o, p) && (o != p || t.private(other)) }
		if other != id && slices.ContainsFunc(ep.Published, held) {
			if t.cfg.Describe != nil {
				if who := t.cfg.Describe(other); who != "" {
					return who
				}
			}
			return fmt.Sprintf("endpoint %s (%s)", Short(other), ep.Addr4)
		}
	}
	if slices.ContainsFunc(taken, func(o record.PublishedPort) bool { return overlaps(o, p) }) {
		return "the same container's other port"
	}
	return t.cfg.Sockets.Holder(p)
}

// private reports whether an endpoint is known to be no service's, so that nobody
// can be its replica.
func (t *Table) private(id string) bool {
	return t.cfg.WithoutService != nil && t.cfg.WithoutService(id)
}

// published reports whether any endpoint publishes exactly p.
func (t *Table) published(p record.PublishedPort) bool {
	for _, ep := range t.doc.Endpoints {
		if slices.Contains(ep.Published, p) {
			return true
		}
	}
	return false
}

// satisfies reports whether have is what a repeated call asks for by want.
func satisfies(have, want record.PublishedPort) bool {
	if want.HostPort == 0 || want.HostPort <= have.HostPort && have.HostPort <= want.Last {
		want.HostPort, want.Last = have.HostPort, 0
	}
	return have == want
}

// overlaps reports whether two publications claim one port of one address.
func overlaps(a, b record.PublishedPort) bool {
	return a.HostPort == b.HostPort && a.Proto == b.Proto &&
		(!a.HostIP.IsValid() || !b.HostIP.IsValid() || a.HostIP == b.HostIP)
}

// mergePorts adds to have those of more that it does not already satisfy.
func mergePorts(have, more []record.PublishedPort) []record.PublishedPort {
	out := slices.Clone(have)
	for _, p := range more {
		if !slices.ContainsFunc(have, func(o record.PublishedPort) bool { return satisfies(o, p) }) {
			out = append(out, p)
		}
	}
	return out
}
