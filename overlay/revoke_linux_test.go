package overlay

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// way is a container that has a permission and the one that it may reach. Both hosts know of
// a revocation.
type way struct {
	hosts    []*labHost // of one of them, or of both
	from, to Endpoint
	box, far netns.NsHandle
}

func newWay(a, b *labHost, n int) way {
	p := way{hosts: []*labHost{a}, from: a.endpoint(n), to: b.endpoint(n + 1)}
	if a != b {
		p.hosts = append(p.hosts, b)
	}
	p.box, p.far = a.run(p.from), b.run(p.to)
	return p
}

// addrs are the addresses of both in one family.
func (p way) addrs(v6 bool) (from, to netip.Addr) {
	if v6 {
		return p.from.Addr6, p.to.Addr6
	}
	return p.from.Addr4, p.to.Addr4
}

// set gives both hosts a policy of the pair.
func (p way) set(groups []Group, revoked ...Revocation) {
	for _, h := range p.hosts {
		h.config.Groups, h.config.Revoked = groups, revoked
		h.set()
	}
}

func (p way) allows(ports ...HostPort) []Group {
	return []Group{allow(p.from.Addr4, p.to.Addr4, ports...), allow(p.from.Addr6, p.to.Addr6, ports...)}
}

func (p way) revocations(r Revocation) (out []Revocation) {
	for _, v6 := range []bool{false, true} {
		r.From, r.To = p.addrs(v6)
		out = append(out, r)
	}
	return out
}

// A permission that is taken back ends the connections that began with it. One that is merely
// missing, as after the restart of a linker, does not.
func TestRevokedConnectionsEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	for _, h := range l.hosts {
		h.set()
	}
	for name, p := range map[string]way{"one host": newWay(l.hosts[0], l.hosts[0], 5), "two hosts": newWay(l.hosts[0], l.hosts[1], 7)} {
		t.Run(name, func(t *testing.T) { testRevokedConnectionsEnd(t, p) })
	}
}

func testRevokedConnectionsEnd(t *testing.T, p way) {
	listen(t, p.far, ":80")
	p.set(p.allows())
	held := map[string]net.Conn{}
	for _, v6 := range []bool{false, true} {
		_, to := p.addrs(v6)
		for _, network := range []string{"tcp", "udp"} {
			conn, err := dial(t, p.box, network, at(to, 80), ample)
			must(t, err)
			t.Cleanup(func() { conn.Close() })
			held[network+" "+to.String()] = conn
		}
	}
	check := func(when string, wait time.Duration, want bool) {
		t.Helper()
		for name, conn := range held {
			if _, err := echo(conn, wait); (err == nil) != want {
				t.Errorf("%s, the connection %s carries data: %v (%v), want %v", when, name, err == nil, err, want)
			}
		}
	}
	check("while it is permitted", ample, true)
	p.set(nil)
	check("while the permission is missing", ample, true)
	p.set(nil, p.revocations(Revocation{})...)
	check("after it was taken back", patience, false)
	p.set(nil)
	check("later", patience, false)
	_, to := p.addrs(false)
	p.set(p.allows())
	reaches(t, p.box, "udp", at(to, 80), p.from.Addr4.String())
	reaches(t, p.box, "tcp", at(to, 80), p.from.Addr4.String())
}

// An attacker keeps a server busy, whose late answers would be tracked as new connections to
// the attacker, which let the attacker's datagrams pass as answers to them.
func TestLateAnswersKeepNoRevokedFlowAlive(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	for _, h := range l.hosts {
		h.set()
	}
	for name, p := range map[string]way{"one host": newWay(l.hosts[0], l.hosts[0], 5), "two hosts": newWay(l.hosts[0], l.hosts[1], 7)} {
		t.Run(name, func(t *testing.T) {
			var arrived atomic.Int64
			answerLate(t, p.far, &arrived)
			p.set(p.allows())
			conn, err := dial(t, p.box, "udp", at(p.to.Addr4, 81), ample)
			must(t, err)
			stop := make(chan struct{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						_, _ = conn.Write([]byte("x"))
					}
				}
			}()
			t.Cleanup(func() { close(stop); <-done; conn.Close() })
			for deadline := time.Now().Add(ample); arrived.Load() < 100; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("no datagrams arrive while they are permitted")
				}
			}
			p.set(nil, p.revocations(Revocation{})...)
			for _, later := range []string{"while the revocation is in the Config", "after it has left the Config"} {
				time.Sleep(2 * lateness)
				before := arrived.Load()
				time.Sleep(patience)
				if n := arrived.Load() - before; n > 0 {
					t.Errorf("%s, %d datagrams arrived, want none", later, n)
				}
				p.set(nil)
			}
		})
	}
}

const lateness = 100 * time.Millisecond // of an answer

// answerLate answers each datagram after lateness, and counts them.
func answerLate(t *testing.T, ns netns.NsHandle, arrived *atomic.Int64) {
	t.Helper()
	enter(t, ns, func() {
		c, err := net.ListenPacket("udp", ":81")
		must(t, err)
		t.Cleanup(func() { c.Close() })
		go func() {
			buf := make([]byte, 64)
			for {
				_, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				arrived.Add(1)
				time.AfterFunc(lateness, func() { _, _ = c.WriteTo([]byte("late"), from) })
			}
		}()
	})
}

// What is still permitted goes on: other ports, and the way back.
func TestRevocationOfAPartSparesTheRest(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	for _, h := range l.hosts {
		h.set()
	}
	p := newWay(l.hosts[0], l.hosts[1], 7)
	listen(t, p.far, ":80")
	listen(t, p.far, ":81")
	listen(t, p.box, ":82")
	back := allow(p.to.Addr4, p.from.Addr4)
	p.set(append(p.allows(), back))
	connect := func(ns netns.NsHandle, network, addr string) net.Conn {
		conn, err := dial(t, ns, network, addr, ample)
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		if _, err := echo(conn, ample); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	still, gone := connect(p.box, "tcp", at(p.to.Addr4, 80)), connect(p.box, "tcp", at(p.to.Addr4, 81))
	returning := connect(p.far, "tcp", at(p.from.Addr4, 82))
	p.set(append(p.allows(HostPort{80, "tcp"}), back), p.revocations(Revocation{Still: []HostPort{{80, "tcp"}}, Back: true})...)
	if _, err := echo(gone, patience); err == nil {
		t.Error("the connection to a port that is not permitted any more carries data")
	}
	for name, conn := range map[string]net.Conn{"to a port that is still permitted": still, "in the other direction": returning} {
		if _, err := echo(conn, ample); err != nil {
			t.Errorf("the connection %s broke: %v", name, err)
		}
	}
}

// An address that is attached inherits no connections, and a repeated Attach ends none. Those
// of a container that has ended on another host are deleted, too.
func TestAnAddressInheritsNoConnections(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	h := l.hosts[0]
	h.set()
	e, peer := h.endpoint(5), netip.MustParseAddr("100.64.2.9")
	peer6, other := netip.MustParseAddr("fd42:1:2:0:2::9"), h.endpoint(6)
	count := func() (n int) {
		enter(t, h.ns, func() {
			n = len(trackedFlows(t, unix.AF_INET)) + len(trackedFlows(t, unix.AF_INET6))
		})
		return n
	}
	fill := func() {
		enter(t, h.ns, func() {
			track(t, 1, peer, e.Addr4, e.Addr4, peer)
			track(t, 2, peer6, e.Addr6, e.Addr6, peer6)
			track(t, 3, other.Addr4, outsideAddr, outsideAddr, other.Addr4)
		})
	}
	fill()
	_, err := h.overlay.Attach(t.Context(), e)
	must(t, err)
	if n := count(); n != 1 {
		t.Errorf("%d connections are tracked after Attach, want that of the other container alone", n)
	}
	enter(t, h.ns, func() { track(t, 1, peer, e.Addr4, e.Addr4, peer) })
	_, err = h.overlay.Attach(t.Context(), e)
	must(t, err)
	if n := count(); n != 2 {
		t.Errorf("%d connections are tracked after a repeated Attach, want 2", n)
	}
	h.config.Revoked = []Revocation{{From: peer}}
	h.set()
	if n := count(); n != 1 {
		t.Errorf("%d connections are tracked after a container of another host ended, want 1", n)
	}
	enter(t, h.ns, func() { track(t, 4, peer, e.Addr4, e.Addr4, peer) }) // of the address's next holder
	h.config.Groups = []Group{allow(peer, e.Addr4)}
	h.set()
	if n := count(); n != 2 {
		t.Errorf("%d connections are tracked after another Set, want 2: a revocation ends connections once", n)
	}
}

func trackedFlows(t *testing.T, family netlink.InetFamily) []*netlink.ConntrackFlow {
	t.Helper()
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
	must(t, err)
	return flows
}
