package overlay

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// Once the process of a container has ended, every connection that clients try and every datagram
// that they send is refused at once, before, while and after the interface is removed: by IPv4 and
// IPv6, from its host and from another. Whatever is lost without a word costs a client its time
// limit.
func TestNothingIsSilentWhileAContainerEnds(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	here, there := a.endpoint(5), b.endpoint(5)
	for _, h := range l.hosts {
		h.set()
		answerEverything(t, h.ns)
	}
	clients := []netns.NsHandle{a.run(here), b.run(there)}
	for round := range 10 {
		e := a.endpoint(20 + round)
		a.config.Groups = nil
		for _, client := range []Endpoint{here, there} {
			a.config.Groups = append(a.config.Groups, allow(client.Addr4, e.Addr4), allow(client.Addr6, e.Addr6))
		}
		flows := endedServer(t, a, e, clients)
		var all sync.WaitGroup
		ended := make(chan struct{})
		for _, addr := range []netip.Addr{e.Addr4, e.Addr6} {
			for _, box := range clients {
				all.Go(func() {
					refusedUntil(t, ended, "a connection to "+addr.String(), func() error { return tryTCP(box, addr) })
				})
			}
		}
		for _, f := range flows {
			all.Go(func() {
				refusedUntil(t, ended, "a datagram of a flow", func() error { _, err := echo(f, soon); return err })
			})
		}
		time.Sleep(30 * time.Millisecond) // the clients' traffic
		must(t, a.overlay.Detach(t.Context(), e.ID))
		time.Sleep(30 * time.Millisecond)
		close(ended)
		all.Wait()
		a.config.Endpoints = a.config.Endpoints[:len(a.config.Endpoints)-1]
	}
}

// answerEverything lifts Linux's own limit on ICMP errors (six to one address, then one a second),
// which would look like silence.
func answerEverything(t *testing.T, ns netns.NsHandle) {
	t.Helper()
	enter(t, ns, func() {
		must(t, setSysctl("ipv4/icmp_ratemask", "0"))
		must(t, setSysctl("ipv6/icmp/ratelimit", "0"))
	})
}

// endedServer runs a server that answers a flow of each client by each family, ends, and leaves
// its interface behind.
func endedServer(t *testing.T, h *labHost, e Endpoint, clients []netns.NsHandle) (flows []net.Conn) {
	t.Helper()
	box := h.run(e)
	answerEverything(t, box)
	h.set()
	for _, addr := range []netip.Addr{e.Addr4, e.Addr6} {
		enter(t, box, func() {
			server, err := net.ListenPacket("udp", at(addr, 80))
			must(t, err)
			defer server.Close()
			go serveUDP(server)
			for _, client := range clients {
				conn, err := dial(t, client, "udp", at(addr, 80), ample)
				must(t, err)
				t.Cleanup(func() { conn.Close() })
				if _, err := echo(conn, ample); err != nil {
					t.Fatalf("%s does not answer: %v", addr, err)
				}
				flows = append(flows, conn)
			}
		})
	}
	return flows
}

// refusedUntil tries something again and again. The clients of a round stay below the limit of 1,000
// answers a second.
func refusedUntil(t *testing.T, ended <-chan struct{}, what string, try func() error) {
	for {
		select {
		case <-ended:
			return
		case <-time.After(10 * time.Millisecond): // the pace of the attempts
		}
		began := time.Now()
		if err := try(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s, whose container has ended: %v after %v, want it refused at once", what, err, time.Since(began))
			return
		}
	}
}

func tryTCP(from netns.NsHandle, addr netip.Addr) error {
	return inside(from, func() error {
		conn, err := net.DialTimeout("tcp", at(addr, 80), soon)
		if err == nil {
			conn.Close()
		}
		return err
	})
}
