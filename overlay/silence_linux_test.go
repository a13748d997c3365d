package overlay

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// soon is how long an answer may take that is sent at once.
const soon = time.Second

// failsAtOnce checks that a connection fails with one of the errors, and long before a time limit.
func failsAtOnce(t *testing.T, from netns.NsHandle, network, addr string, want ...error) {
	t.Helper()
	began := time.Now()
	got, err := ask(t, from, network, addr, ample)
	for _, w := range want {
		if errors.Is(err, w) && time.Since(began) < soon {
			return
		}
	}
	t.Errorf("%s %s = %q, %v after %v, want one of %v at once", network, addr, got, err, time.Since(began), want)
}

// The host answers a container at once if policy refuses its packet, or if no container has the
// address in the pool.
func TestRefusalsAreAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	a.set()
	b.set()
	ea, near, far := a.endpoint(5), a.endpoint(6), b.endpoint(5)
	box := a.run(ea)
	a.run(near)
	b.run(far)
	a.set()
	b.set()
	nobody4, nobody6 := a.endpoint(99), b.endpoint(99)
	for _, addr := range []netip.Addr{
		near.Addr4, near.Addr6, far.Addr4, far.Addr6, // refused, by this host and another
		nobody4.Addr4, nobody4.Addr6, nobody6.Addr4, nobody6.Addr6, // in the blocks of both
		netip.MustParseAddr("100.64.99.1"), netip.MustParseAddr("fd42:1:2:0:99::1"), // in no block
		b.Overlay4, b.Overlay6,
	} {
		failsAtOnce(t, box, "tcp", at(addr, 80), syscall.ECONNREFUSED)
		failsAtOnce(t, box, "udp", at(addr, 80), syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.EACCES)
	}
}

// A client that keeps its connection to a container that has ended gets a reset.
func TestConnectionsToAnEndedContainerAreReset(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	a.set()
	b.set()
	far, near, client := b.endpoint(5), a.endpoint(6), a.endpoint(5)
	box := a.run(client)
	listen(t, b.run(far), ":80")
	listen(t, a.run(near), ":80")
	a.config.Groups = []Group{allow(client.Addr4, near.Addr4), allow(client.Addr6, near.Addr6)}
	b.config.Groups = []Group{allow(client.Addr4, far.Addr4), allow(client.Addr6, far.Addr6)}
	a.set()
	b.set()
	for h, ended := range map[*labHost]Endpoint{a: near, b: far} {
		for _, addr := range []netip.Addr{ended.Addr4, ended.Addr6} {
			conn, err := dial(t, box, "tcp", at(addr, 80), ample)
			must(t, err)
			defer conn.Close()
			if _, err := echo(conn, ample); err != nil {
				t.Fatal(err)
			}
			defer func() {
				began := time.Now()
				if _, err := echo(conn, ample); !errors.Is(err, syscall.ECONNRESET) || time.Since(began) > soon {
					t.Errorf("a connection to %s, which ended: %v after %v, want a reset at once", addr, err, time.Since(began))
				}
			}()
		}
		defer func() { must(t, h.overlay.Detach(t.Context(), ended.ID)) }()
	}
}

// A host that is thought dead gets no new connection, but keeps its established ones, in case
// it lives. They are reset when other containers have taken the place of its own.
func TestHostsThatAreThoughtDead(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	a.set()
	b.set()
	client, far := a.endpoint(5), b.endpoint(5)
	box := a.run(client)
	listen(t, b.run(far), ":80")
	b.config.Groups = []Group{allow(client.Addr4, far.Addr4), allow(client.Addr6, far.Addr6)}
	a.set()
	b.set()
	both := []netip.Addr{far.Addr4, far.Addr6}
	for _, addr := range both {
		conn, err := dial(t, box, "tcp", at(addr, 80), ample)
		must(t, err)
		defer conn.Close()
		a.config.Suspended, a.config.Superseded = both, nil
		a.set()
		failsAtOnce(t, box, "tcp", at(addr, 80), syscall.ECONNREFUSED)
		failsAtOnce(t, box, "udp", at(addr, 80), syscall.ECONNREFUSED)
		if _, err := echo(conn, ample); err != nil {
			t.Errorf("an established connection to %s, whose host is thought dead: %v", addr, err)
		}
		a.config.Suspended, a.config.Superseded = nil, both
		a.set()
		if _, err := echo(conn, ample); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("an established connection to %s, whose place is taken: %v, want a reset", addr, err)
		}
		a.config.Superseded = nil
		a.set()
		reaches(t, box, "tcp", at(addr, 80), map[bool]string{true: client.Addr4.String(), false: client.Addr6.String()}[addr.Is4()])
	}
}
