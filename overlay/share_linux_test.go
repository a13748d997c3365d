package overlay

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netns"
)

// replicas are the possible targets of a shared port. Each answers with the ID of its endpoint.
type replicas struct {
	*labHost
	all []Endpoint
}

func newReplicas(h *labHost, n int) replicas {
	h.t.Helper()
	r := replicas{labHost: h}
	for i := range n {
		e := h.endpoint(5 + i)
		r.all = append(r.all, e)
		box := h.run(e)
		for _, addr := range []netip.Addr{e.Addr4, e.Addr6} {
			serveName(h.t, box, at(addr, 80), e.ID)
		}
	}
	return r
}

// publish makes some of the replicas the targets of the published ports.
func (r replicas) publish(some ...Endpoint) {
	r.t.Helper()
	r.config.Publish = nil
	for _, e := range some {
		for _, proto := range []string{"tcp", "udp"} {
			r.config.Publish = append(r.config.Publish,
				Publish{HostPort: 8001, Proto: proto, To: e.Addr4, Port: 80},
				Publish{HostPort: 8001, Proto: proto, To: e.Addr6, Port: 80},
				Publish{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 8002, Proto: proto, To: e.Addr4, Port: 80},
				Publish{HostIP: r.Overlay6, HostPort: 8003, Proto: proto, To: e.Addr6, Port: 80})
		}
	}
	r.set()
}

// serveName answers everything with name, on TCP and UDP.
func serveName(t testing.TB, ns netns.NsHandle, addr, name string) {
	t.Helper()
	enter(t, ns, func() {
		tcp, err := net.Listen("tcp", addr)
		must(t, err)
		udp, err := net.ListenPacket("udp", addr)
		must(t, err)
		t.Cleanup(func() { tcp.Close(); udp.Close() })
		go func() {
			for {
				conn, err := tcp.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					for buf := make([]byte, 64); ; {
						if _, err := conn.Read(buf); err != nil {
							return
						}
						fmt.Fprint(conn, name)
					}
				}()
			}
		}()
		go func() {
			for buf := make([]byte, 64); ; {
				_, from, err := udp.ReadFrom(buf)
				if err != nil {
					return
				}
				_, _ = udp.WriteTo([]byte(name), from)
			}
		}()
	})
}

// draws makes 40 connections and counts the answers of each replica. The chance that one of three
// gets no connection is one in ten million.
func draws(t *testing.T, ns netns.NsHandle, network, addr string) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range 40 {
		replica, err := ask(t, ns, network, addr, ample)
		if err != nil {
			t.Fatalf("cannot reach %s %s: %v", network, addr, err)
		}
		got[replica]++
	}
	return got
}

func TestASharedPortUsesAllReplicas(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	h, other := l.hosts[0], l.hosts[1]
	h.set()
	other.set()
	r := newReplicas(h, 3)
	bystander := h.run(h.endpoint(9))
	r.publish(r.all...)
	for _, tt := range []struct {
		name, network, addr string
		from                netns.NsHandle
	}{
		{"the outside", "tcp", at(h.Underlay, 8001), l.outside},
		{"the outside, UDP", "udp", at(h.Underlay, 8001), l.outside},
		{"another host", "tcp", at(h.Underlay, 8001), other.ns},
		{"the host", "tcp", at(h.Underlay, 8001), h.ns},
		{"the host, loopback", "tcp", "127.0.0.1:8001", h.ns},
		{"the host, IPv6", "tcp", at(h.Overlay6, 8001), h.ns},
		{"one address", "tcp", "127.0.0.1:8002", h.ns},
		{"one IPv6 address", "udp", at(h.Overlay6, 8003), h.ns},
		{"a container", "tcp", at(h.Underlay, 8001), bystander},
	} {
		if got := draws(t, tt.from, tt.network, tt.addr); len(got) != 3 {
			t.Errorf("connections from %s were answered by %v, want all 3 replicas", tt.name, got)
		}
	}
	cannotReach(t, l.outside, "tcp", at(h.Underlay, 8002))
	cannotReach(t, bystander, "tcp", at(r.all[0].Addr4, 80)) // a published port permits nothing else
}

// A connection stays with its replica as long as that exists.
func TestASharedPortLosesReplicas(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	h := l.hosts[0]
	h.set()
	r := newReplicas(h, 3)
	r.publish(r.all[:2]...)
	out := r.all[1]
	held := until(t, l.outside, "tcp", at(h.Underlay, 8001), out.ID)
	flow := until(t, l.outside, "udp", at(h.Underlay, 8001), out.ID)

	r.publish(r.all...) // now with one more
	for _, conn := range []net.Conn{held, flow} {
		if replica, err := echo(conn, ample); replica != out.ID {
			t.Errorf("after another replica was added, %q answers (%v), want %q", replica, err, out.ID)
		}
	}
	r.publish(r.all[0], r.all[2]) // as when the replica is unhealthy
	if replica, err := echo(held, ample); replica != out.ID {
		t.Errorf("on the established connection %q answers (%v), want %q", replica, err, out.ID)
	}
	if replica, err := echo(flow, ample); replica == out.ID || err != nil {
		t.Errorf("datagrams are answered by %q (%v), want another replica than %q", replica, err, out.ID)
	}
	if got := draws(t, l.outside, "tcp", at(h.Underlay, 8001)); got[out.ID] != 0 || len(got) != 2 {
		t.Errorf("new connections were answered by %v, want the other 2 replicas", got)
	}
	r.publish(r.all[0])
	must(t, h.overlay.Detach(t.Context(), r.all[2].ID))
	must(t, h.overlay.Detach(t.Context(), out.ID))
	if got := draws(t, l.outside, "tcp", at(h.Underlay, 8001)); got[r.all[0].ID] != 40 {
		t.Errorf("new connections were answered by %v, want the last replica", got)
	}
	if replica, err := echo(held, patience); err == nil {
		t.Errorf("%q answers on the connection of the detached replica", replica)
	}
}

// A restarted linker adopts the shared ports and repairs them.
func TestSharedPortsSurviveARestart(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	h := l.hosts[0]
	h.set()
	r := newReplicas(h, 2)
	r.publish(r.all...)
	enter(t, h.ns, func() {
		must(t, runNft(t.Context(), "delete element inet tombolo share_any4 { tcp . 8001 . 0, tcp . 8001 . 1 }"))
	})
	foreign := h.overlay.table.foreignChanges
	h.set() // this reads the sets from the kernel
	if again := h.overlay.table.foreignChanges; again != foreign+1 {
		t.Errorf("Set noticed %d changes by others, want 1 and no replaced table", again-foreign)
	}
	if got := draws(t, l.outside, "tcp", at(h.Underlay, 8001)); len(got) != 2 {
		t.Errorf("connections were answered by %v, want both replicas", got)
	}
	h.restart()
	h.set()
	if got := draws(t, l.outside, "tcp", at(h.Underlay, 8001)); len(got) != 2 {
		t.Errorf("after a restart connections were answered by %v, want both replicas", got)
	}
}

// until makes connections until the given replica answers one, and returns that one.
func until(t *testing.T, ns netns.NsHandle, network, addr, replica string) net.Conn {
	t.Helper()
	for range 200 {
		conn, err := dial(t, ns, network, addr, ample)
		must(t, err)
		got, err := echo(conn, ample)
		must(t, err)
		if got == replica {
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		conn.Close()
	}
	t.Fatalf("%s did not answer any of 200 connections", replica)
	return nil
}
