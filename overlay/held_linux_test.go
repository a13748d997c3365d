package overlay

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A socket that holds a published port is reached at ::1 only. Whatever the rules lead to no
// container is refused at once.
func TestSocketsThatHoldPortsServeOnlyLoopback6(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	h, other := l.hosts[0], l.hosts[1]
	other.set()
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, proto := range []string{"tcp", "udp"} {
		h.config.Publish = append(h.config.Publish,
			Publish{HostPort: 8001, Proto: proto}, // as an ingress port whose service has no healthy instance
			Publish{HostPort: 8002, Proto: proto, To: h.endpoint(5).Addr4, Port: 80},
			Publish{HostIP: loopback, HostPort: 8003, Proto: proto},
			Publish{HostIP: h.Overlay6, HostPort: 8004, Proto: proto})
	}
	h.set()
	e := h.endpoint(5)
	box := h.run(e)
	listen(t, box, ":80")
	for _, addr := range []string{":8001", ":8002", at(loopback, 8003), at(h.Overlay6, 8004), ":8005", at(Gateway4, 53)} {
		listen(t, h.ns, addr)
	}
	h.set()
	for _, proto := range []string{"tcp", "udp"} {
		refusedPort(t, proto, at(h.Underlay, 8001), func(wait time.Duration) (string, error) { return ask(t, l.outside, proto, at(h.Underlay, 8001), wait) })
		for _, addr := range []string{at(h.Underlay, 8001), at(loopback, 8001), at(h.Overlay6, 8001), at(h.Overlay6, 8002), at(loopback, 8003), at(h.Overlay6, 8004)} {
			refusedPort(t, proto, addr, func(wait time.Duration) (string, error) { return ask(t, h.ns, proto, addr, wait) })
		}
		for _, addr := range []string{at(h.Underlay, 8001), at(Gateway4, 8001), at(Gateway4, 8002)} {
			refusedPort(t, proto, addr, func(wait time.Duration) (string, error) { return ask(t, box, proto, addr, wait) })
		}
		reaches(t, h.ns, proto, "[::1]:8001", "::1")
		reaches(t, h.ns, proto, "[::1]:8002", "::1")
		reaches(t, l.outside, proto, at(h.Underlay, 8002), outsideAddr.String())
		reaches(t, h.ns, proto, at(loopback, 8005), "127.0.0.1") // no published port
		reaches(t, box, proto, at(Gateway4, 53), e.Addr4.String())
	}
}

// refusedPort checks that a connection is refused at once.
func refusedPort(t *testing.T, proto, addr string, ask func(wait time.Duration) (string, error)) {
	t.Helper()
	if answer, err := ask(ample); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("%s %s answered %q (%v), want a refusal", proto, addr, answer, err)
	}
}

// The answers to the host's own clients arrive, also where a client has the number of a
// published port.
func TestClientsWithThePortOfAPublishedOne(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	h := l.hosts[0]
	h.set()
	listen(t, l.outside, at(outsideAddr, 80))
	for _, proto := range []string{"tcp", "udp"} {
		conn, err := dial(t, h.ns, proto, at(outsideAddr, 80), ample)
		must(t, err)
		defer conn.Close()
		port := netip.MustParseAddrPort(conn.LocalAddr().String()).Port()
		h.config.Publish = []Publish{{HostPort: port, Proto: proto}}
		h.set()
		if _, err := echo(conn, ample); err != nil {
			t.Errorf("the client with the port %d/%s gets no answer: %v", port, proto, err)
		}
	}
}
