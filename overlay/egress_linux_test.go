package overlay

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestEgressAndItsLimits(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	blocked := []HostPort{{7980, "tcp"}, {7980, "udp"}}
	a.config.Blocked, b.config.Blocked = blocked, blocked
	a.set()
	b.set()
	free, shut := a.endpoint(5), a.endpoint(6)
	shut.Internal = true
	nfree, nshut := a.run(free), a.run(shut)
	a.config.Publish = []Publish{{HostPort: 8001, Proto: "tcp", To: shut.Addr4, Port: 80}}
	a.set()
	listen(t, l.outside, ":80")
	listen(t, nshut, ":80")
	for _, h := range l.hosts {
		listen(t, h.ns, ":7980")
		listen(t, h.ns, ":7070")
	}

	reaches(t, nfree, "tcp", at(outsideAddr, 80), a.Underlay.String())
	reaches(t, nfree, "udp", at(outsideAddr, 80), a.Underlay.String())
	reaches(t, nfree, "tcp", at(a.Underlay, 7070), free.Addr4.String())
	reaches(t, nfree, "tcp", at(a.Overlay4, 7070), free.Addr4.String())
	reaches(t, nfree, "tcp", at(b.Underlay, 7070), a.Underlay.String())
	reaches(t, a.ns, "tcp", at(b.Overlay4, 7070), a.Overlay4.String())
	reaches(t, l.outside, "tcp", at(a.Underlay, 8001), outsideAddr.String()) // an internal container still answers on published ports

	// Refused connections fail at once.
	for _, target := range []string{at(a.Underlay, 7980), at(b.Underlay, 7980), at(a.Overlay4, 7980), "169.254.169.254:80"} {
		if _, err := ask(t, nfree, "tcp", target, ample); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connecting to %s = %v, want it refused at once", target, err)
		}
	}
	if _, err := ask(t, nshut, "tcp", at(outsideAddr, 80), ample); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("an internal container connecting to the outside = %v, want it refused at once", err)
	}
	cannotReach(t, nfree, "udp", at(b.Underlay, 7980))
	cannotReach(t, nfree, "tcp", at(b.Overlay4, 7070)) // only hosts reach the overlay address of another host
	cannotReach(t, nfree, "tcp", "100.64.99.1:80")
	enter(t, a.ns, func() { // packets to unassigned addresses of the pool do not leave the host
		if _, err := netlink.RouteGet([]byte{100, 64, 99, 1}); !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Errorf("looking up a route to an unassigned address = %v, want it unreachable", err)
		}
	})
}

// An internal container reaches the containers of its networks and the DNS server. It reaches
// neither other containers by their published ports nor the host itself.
func TestInternalContainersReachOnlyTheirNetworks(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	shut, friend, other := h.endpoint(5), h.endpoint(6), h.endpoint(7)
	shut.Internal = true
	h.set()
	nshut, nfriend, nother := h.run(shut), h.run(friend), h.run(other)
	for _, p := range []struct {
		port uint16
		to   Endpoint
	}{{8006, friend}, {8007, other}} {
		h.config.Publish = append(h.config.Publish,
			Publish{HostPort: p.port, Proto: "tcp", To: p.to.Addr4, Port: 80}, Publish{HostPort: p.port, Proto: "tcp", To: p.to.Addr6, Port: 80})
	}
	h.config.Groups = []Group{allow(shut.Addr4, friend.Addr4), allow(shut.Addr6, friend.Addr6)}
	h.set()
	listen(t, nfriend, ":80")
	listen(t, nother, ":80")
	listen(t, h.ns, at(Gateway4, 53))
	listen(t, h.ns, ":7070")

	reaches(t, nshut, "tcp", at(Gateway4, 53), shut.Addr4.String())
	reaches(t, nshut, "udp", at(Gateway4, 53), shut.Addr4.String())
	reaches(t, nshut, "tcp", at(friend.Addr4, 80), shut.Addr4.String())
	reaches(t, nshut, "tcp", at(friend.Addr6, 80), shut.Addr6.String()) // this needs neighbour discovery of the gateway
	reaches(t, nshut, "tcp", at(h.Underlay, 8006), h.Overlay4.String())
	reaches(t, nother, "tcp", at(h.Underlay, 8007), h.Overlay4.String()) // a container that is not internal
	for _, target := range []string{
		at(other.Addr4, 80), at(other.Addr6, 80), at(h.Underlay, 8007), at(h.Overlay4, 8007), at(h.Overlay6, 8007),
		at(h.Underlay, 7070), at(h.Overlay4, 7070), at(h.Overlay6, 7070), at(Gateway4, 7070),
	} {
		cannotReach(t, nshut, "tcp", target)
	}
	reaches(t, h.ns, "tcp", at(friend.Addr4, 80), h.Overlay4.String())
	if _, err := ask(t, nshut, "tcp", at(h.Underlay, 8007), ample); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("an internal container connecting to a published port = %v, want it refused at once", err)
	}
}

func TestEgressOverIPv6(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	h := l.hosts[0]
	outside, own := netip.MustParseAddr("2001:db8::100"), netip.MustParseAddr("2001:db8::11")
	enter(t, l.outside, func() { addAddr(t, "eth0", netip.PrefixFrom(outside, 64)) })
	enter(t, h.ns, func() { addAddr(t, "eth0", netip.PrefixFrom(own, 64)) })
	h.set()
	free, shut := h.endpoint(5), h.endpoint(6)
	shut.Internal = true
	listen(t, l.outside, ":80")
	reaches(t, h.run(free), "tcp", at(outside, 80), own.String())
	cannotReach(t, h.run(shut), "tcp", at(outside, 80))
}
