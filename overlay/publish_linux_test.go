package overlay

import (
	"net/netip"
	"testing"
)

// One published port leads to a container of this host, another to a container elsewhere. Both
// are reached from the outside, from hosts and from containers.
func TestPublishedPortsAreReachedFromEverywhere(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	a.set()
	b.set()
	near, far, bystander := a.endpoint(5), b.endpoint(5), a.endpoint(6)
	nnear, nfar, nby := a.run(near), b.run(far), a.run(bystander)
	listen(t, nnear, ":80")
	listen(t, nfar, ":80")
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, proto := range []string{"tcp", "udp"} {
		a.config.Publish = append(a.config.Publish,
			Publish{HostPort: 8001, Proto: proto, To: near.Addr4, Port: 80},
			Publish{HostPort: 8002, Proto: proto, To: far.Addr4, Port: 80},
			Publish{HostPort: 8001, Proto: proto, To: near.Addr6, Port: 80},
			Publish{HostPort: 8002, Proto: proto, To: far.Addr6, Port: 80},
			Publish{HostIP: loopback, HostPort: 8003, Proto: proto, To: near.Addr4, Port: 80},
			Publish{HostIP: a.Underlay, HostPort: 8004, Proto: proto, To: near.Addr4, Port: 80})
	}
	a.set()
	own, own6 := a.Overlay4.String(), a.Overlay6.String()
	for _, proto := range []string{"tcp", "udp"} {
		reaches(t, l.outside, proto, at(a.Underlay, 8001), outsideAddr.String()) // the container sees the client's address
		reaches(t, l.outside, proto, at(a.Underlay, 8002), own)
		reaches(t, l.outside, proto, at(a.Underlay, 8004), outsideAddr.String())
		for _, host := range []netip.Addr{a.Underlay, loopback} {
			reaches(t, a.ns, proto, at(host, 8002), own)
		}
		reaches(t, a.ns, proto, at(loopback, 8001), own)
		reaches(t, a.ns, proto, at(loopback, 8003), own)
		reaches(t, a.ns, proto, at(a.Underlay, 8001), a.Underlay.String())
		reaches(t, a.ns, proto, at(a.Overlay6, 8001), own6)
		reaches(t, a.ns, proto, at(a.Overlay6, 8002), own6)
		reaches(t, nnear, proto, at(a.Underlay, 8001), own) // a container reaches itself by its published port
		reaches(t, nby, proto, at(a.Underlay, 8001), own)
		reaches(t, nby, proto, at(a.Underlay, 8002), own)
		reaches(t, nfar, proto, at(a.Underlay, 8001), b.Underlay.String())
	}
	cannotReach(t, l.outside, "tcp", at(a.Underlay, 8003))
	cannotReach(t, nby, "tcp", at(near.Addr4, 80)) // a published port permits nothing else
	cannotReach(t, nby, "tcp", at(far.Addr4, 80))
	cannotReach(t, nby, "tcp", at(loopback, 8003))
	cannotReach(t, nby, "tcp", at(Gateway4, 8001))
}

// The datagrams of a client that never pauses follow a published port to its new target.
func TestUDPFollowsARepublishedPort(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	h := l.hosts[0]
	h.set()
	first, second := h.endpoint(5), h.endpoint(6)
	listen(t, h.run(first), ":80")
	listen(t, h.run(second), ":80")
	h.config.Publish = []Publish{{HostPort: 8001, Proto: "udp", To: first.Addr4, Port: 80}}
	h.set()
	conn, err := dial(t, l.outside, "udp", at(h.Underlay, 8001), ample)
	must(t, err)
	defer conn.Close()
	_, err = echo(conn, ample)
	must(t, err)
	h.config.Publish[0].To = second.Addr4
	h.set()
	must(t, h.overlay.Detach(t.Context(), first.ID))
	if _, err = echo(conn, ample); err != nil {
		t.Error("the client gets no answer: its datagrams still go to the old target")
	}
}

// If another program has port 53, containers still reach the DNS server there.
func TestDNSIsRedirectedToItsPort(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	h := l.hosts[0]
	h.config.Publish = []Publish{{HostPort: 53, Proto: "udp", To: h.endpoint(6).Addr4, Port: 53}} // a published port 53 must not take the queries
	h.set()
	e := h.endpoint(5)
	box := h.run(e)
	listen(t, h.ns, at(Gateway4, 53))
	listen(t, h.ns, at(Gateway4, 5300))
	reaches(t, box, "udp", at(Gateway4, 53), e.Addr4.String())
	h.config.DNSPort = 5300
	h.config.Blocked = []HostPort{{53, "tcp"}, {53, "udp"}, {5300, "udp"}}
	h.set()
	for _, proto := range []string{"tcp", "udp"} {
		reaches(t, box, proto, at(Gateway4, 53), e.Addr4.String())
	}
}
