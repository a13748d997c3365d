package overlay

import (
	"testing"
)

// A port that leads to another host's container (mode: ingress) is no way out for an internal
// container, and a service address is no published port.
func TestInternalContainersReachNoPublishedPortOfTheirHost(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	h, other := l.hosts[0], l.hosts[1]
	h.set()
	other.set()
	shut, near, far := h.endpoint(5), h.endpoint(6), other.endpoint(5)
	shut.Internal = true
	nshut, nnear, nfar := h.run(shut), h.run(near), other.run(far)
	listen(t, nnear, ":80")
	listen(t, nfar, ":80")
	listen(t, nshut, ":80")
	for _, proto := range []string{"tcp", "udp"} {
		h.config.Publish = append(h.config.Publish,
			Publish{HostPort: 8001, Proto: proto, To: near.Addr4, Port: 80},
			Publish{HostPort: 8002, Proto: proto, To: far.Addr4, Port: 80},
			Publish{HostPort: 8002, Proto: proto, To: far.Addr6, Port: 80},
			Publish{HostPort: 8003, Proto: proto, To: shut.Addr4, Port: 80})
	}
	h.set()
	other.set()
	for _, proto := range []string{"tcp", "udp"} {
		cannotReach(t, nshut, proto, at(h.Underlay, 8001))
		cannotReach(t, nshut, proto, at(h.Underlay, 8002))
		cannotReach(t, nshut, proto, at(h.Overlay6, 8002))
		reaches(t, nnear, proto, at(h.Underlay, 8002), h.Overlay4.String())
		reaches(t, l.outside, proto, at(h.Underlay, 8003), outsideAddr.String()) // the answers of an internal container
	}
}
