package overlay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

var (
	servicePool4 = netip.MustParsePrefix("100.127.0.0/16")
	servicePool6 = netip.MustParsePrefix("fd42:1:2:ffff:ffff::/80")
	service4     = netip.MustParseAddr("100.127.0.7")
	service6     = netip.MustParseAddr("fd42:1:2:ffff:ffff::7")
	nobody4      = netip.MustParseAddr("100.127.0.8")
	nobody6      = netip.MustParseAddr("fd42:1:2:ffff:ffff::8")
)

// serviceLab is two hosts with a client on the first one, and replicas of a service.
type serviceLab struct {
	*lab
	t      *testing.T
	host   *labHost
	client netns.NsHandle
	from   Endpoint // the client's
	all    []Endpoint
}

// newServiceLab makes replicas that answer with their endpoint's ID on port 80, and with the
// client's address on port 81: as many as here on the client's host, the others on another one.
func newServiceLab(t *testing.T, here, elsewhere int) serviceLab {
	t.Helper()
	l := newLab(t, 2)
	for _, h := range l.hosts {
		h.config.ServicePool4, h.config.ServicePool6 = servicePool4, servicePool6
		h.set()
	}
	s := serviceLab{lab: l, t: t, host: l.hosts[0]}
	s.from = s.host.endpoint(2)
	s.client = s.host.run(s.from)
	for i := range here + elsewhere {
		h := l.hosts[min(1, i/max(1, here))]
		if here == 0 {
			h = l.hosts[1]
		}
		e := h.endpoint(5 + i)
		box := h.run(e)
		for _, addr := range []netip.Addr{e.Addr4, e.Addr6} {
			serveName(t, box, at(addr, 80), e.ID)
			listen(t, box, at(addr, 81))
		}
		h.config.Groups = append(h.config.Groups, allow(s.from.Addr4, e.Addr4), allow(s.from.Addr6, e.Addr6))
		s.all = append(s.all, e)
	}
	l.hosts[1].set()
	s.lead(s.all...)
	return s
}

// lead makes some endpoints the targets of the service.
func (s serviceLab) lead(some ...Endpoint) {
	s.t.Helper()
	v4, v6 := Service{Addr: service4}, Service{Addr: service6}
	for _, e := range some {
		v4.Targets, v6.Targets = append(v4.Targets, e.Addr4), append(v6.Targets, e.Addr6)
	}
	s.host.config.Services = []Service{v4, v6}
	s.host.set()
}

// count makes connections, or flows of UDP, to the service and counts the answers of each replica.
func (s serviceLab) count(n int, from netns.NsHandle, network string, addr netip.Addr) map[string]int {
	s.t.Helper()
	got := map[string]int{}
	for range n {
		replica, err := ask(s.t, from, network, at(addr, 80), ample)
		if err != nil {
			s.t.Fatalf("cannot reach %s %s: %v", network, addr, err)
		}
		got[replica]++
	}
	return got
}

// Each replica gets a third of 300 connections; five standard deviations are 41.
func TestAServiceAddressIsEven(t *testing.T) {
	t.Parallel()
	s := newServiceLab(t, 2, 1)
	for _, tt := range []struct {
		name string
		from netns.NsHandle
	}{{"a container", s.client}, {"the host", s.host.ns}} {
		for _, network := range []string{"tcp", "udp"} {
			for _, addr := range []netip.Addr{service4, service6} {
				got := s.count(300, tt.from, network, addr)
				for _, e := range s.all {
					if n := got[e.ID]; n < 59 || n > 141 {
						t.Errorf("of 300 flows (%s) from %s to %s, the replicas got %v, want about 100 each", network, tt.name, addr, got)
						break
					}
				}
			}
		}
	}
}

// With more targets than chains, all of them are used, and about evenly: 10 connections each,
// so that the chance of one to get none is 1 in 22000, and to get more than 30 even less.
func TestAServiceAddressWithManyTargets(t *testing.T) {
	t.Parallel()
	s := newServiceLab(t, evenTargets+10, 0)
	for _, addr := range []netip.Addr{service4, service6} {
		got := s.count(10*len(s.all), s.client, "udp", addr)
		for _, e := range s.all {
			if n := got[e.ID]; n > 30 {
				t.Errorf("%s got %d of %d flows to %s, want about 10", e.ID, n, 10*len(s.all), addr)
			}
		}
		if len(got) < len(s.all)-1 {
			t.Errorf("%d of %d replicas got a flow to %s, want all", len(got), len(s.all), addr)
		}
	}
}

// The receiver sees who sent, here and on another host, on any port.
func TestAServiceAddressKeepsTheSource(t *testing.T) {
	t.Parallel()
	s := newServiceLab(t, 1, 1)
	for _, target := range s.all {
		s.lead(target)
		for _, network := range []string{"tcp", "udp"} {
			reaches(t, s.client, network, at(service4, 81), s.from.Addr4.String())
			reaches(t, s.client, network, at(service6, 81), s.from.Addr6.String())
			reaches(t, s.host.ns, network, at(service4, 81), s.host.Overlay4.String())
			reaches(t, s.host.ns, network, at(service6, 81), s.host.Overlay6.String())
		}
	}
}

// An attacker that knows another app's service address has no right to reach its containers
// there, also where a container has a published port.
func TestAServiceAddressGrantsNothing(t *testing.T) {
	t.Parallel()
	s := newServiceLab(t, 1, 1)
	attacker := s.host.run(s.host.endpoint(3))
	for _, target := range s.all {
		s.lead(target)
		for _, network := range []string{"tcp", "udp"} {
			for _, pub := range []Publish{{To: target.Addr4}, {To: target.Addr6}} {
				pub.HostPort, pub.Port, pub.Proto = 8080, 81, network
				pub.HostIP = netip.MustParseAddr("127.0.0.1")
				if pub.To.Is6() {
					pub.HostIP = s.host.Overlay6
				}
				s.host.config.Publish = append(s.host.config.Publish, pub)
			}
		}
		s.host.set()
		for _, network := range []string{"tcp", "udp"} {
			cannotReach(t, attacker, network, at(service4, 81))
			cannotReach(t, attacker, network, at(service6, 81))
			reaches(t, s.client, network, at(service4, 81), s.from.Addr4.String())
			reaches(t, s.client, network, at(service6, 81), s.from.Addr6.String())
		}
	}
}

func TestAContainerReachesItselfByItsServiceAddress(t *testing.T) {
	t.Parallel()
	s := newServiceLab(t, 1, 0)
	self := s.host.boxes[s.all[0].ID]
	for _, network := range []string{"tcp", "udp"} {
		for _, addr := range []netip.Addr{service4, service6} {
			if got := s.count(3, self, network, addr); got[s.all[0].ID] != 3 {
				t.Errorf("3 connections (%s) to its own %s were answered by %v", network, addr, got)
			}
		}
	}
}

func TestAServiceAddressAnswersEcho(t *testing.T) {
	t.Parallel()
	s := newServiceLab(t, 1, 1)
	for _, target := range s.all {
		s.lead(target)
		for _, from := range []netns.NsHandle{s.client, s.host.ns, s.host.boxes[s.all[0].ID]} {
			if from == s.host.boxes[s.all[0].ID] && target.ID != s.all[0].ID {
				continue // nobody permits that
			}
			for _, addr := range []netip.Addr{service4, service6} {
				if got := ping(t, from, addr); got != "reply" {
					t.Errorf("echo request to %s: %s, want a reply", addr, got)
				}
			}
		}
	}
}

// A service without targets, and an address that no service has, refuse at once.
func TestAServiceWithoutTargetsRefusesAtOnce(t *testing.T) {
	t.Parallel()
	s := newServiceLab(t, 1, 0)
	s.lead()
	for _, from := range []netns.NsHandle{s.client, s.host.ns} {
		local := from == s.host.ns // the kernel tells a local sender that it may not send
		for _, addr := range []netip.Addr{service4, service6, nobody4, nobody6} {
			for _, network := range []string{"tcp", "udp"} {
				_, err := ask(t, from, network, at(addr, 80), ample)
				if refused := errors.Is(err, unix.ECONNREFUSED) || local && errors.Is(err, unix.EPERM); !refused {
					t.Errorf("%s %s: %v, want that the connection is refused", network, addr, err)
				}
			}
			got := ping(t, from, addr)
			if refused := got == "unreachable" || local && strings.Contains(got, unix.EPERM.Error()); !refused {
				t.Errorf("echo request to %s: %s, want that it is unreachable", addr, got)
			}
		}
	}
	s.lead(s.all...)
	if got := s.count(3, s.client, "udp", service4); got[s.all[0].ID] != 3 {
		t.Errorf("once the service has a target, %v answered", got)
	}
}

// The addresses are valid on their own host only: nobody else is answered, not even refused.
func TestServiceAddressesAreLocal(t *testing.T) {
	t.Parallel()
	s := newServiceLab(t, 1, 0)
	runIn(t, s.outside, fmt.Sprintf("ip route add %s via %s", servicePool4, s.host.Underlay))
	for _, addr := range []netip.Addr{service4, nobody4} {
		_, err := ask(t, s.outside, "tcp", at(addr, 80), patience)
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("a neighbour that sends to %s: %v, want silence", addr, err)
		}
	}
}

// A target that leaves gets no new flow. Its TCP connections stay, those of UDP move. The rules
// stay the same all the time.
func TestTargetsOfAServiceChange(t *testing.T) {
	t.Parallel()
	s := newServiceLab(t, 1, 2)
	for _, addr := range []netip.Addr{service4, service6} {
		s.lead(s.all[:2]...)
		written := s.host.overlay.table.foreignChanges
		out, rest := s.all[1], []Endpoint{s.all[0], s.all[2]}
		held := until(t, s.client, "tcp", at(addr, 80), out.ID)
		flow := until(t, s.client, "udp", at(addr, 80), out.ID)
		s.lead(s.all...) // one more
		for _, conn := range []net.Conn{held, flow} {
			if replica, err := echo(conn, ample); replica != out.ID {
				t.Errorf("%s: after another target came, %q answers (%v), want %q", addr, replica, err, out.ID)
			}
		}
		s.lead(rest...)
		if replica, err := echo(held, ample); replica != out.ID {
			t.Errorf("%s: on the established connection %q answers (%v), want %q", addr, replica, err, out.ID)
		}
		if replica, err := echo(flow, ample); replica == out.ID || err != nil {
			t.Errorf("%s: datagrams are answered by %q (%v), want another one than %q", addr, replica, err, out.ID)
		}
		for _, network := range []string{"tcp", "udp"} {
			if got := s.count(40, s.client, network, addr); got[out.ID] != 0 || len(got) != 2 {
				t.Errorf("%s: new flows (%s) were answered by %v, want the other 2", addr, network, got)
			}
		}
		s.lead() // nobody
		if _, err := echo(flow, ample); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s: datagrams after the last target left: %v, want that they are refused", addr, err)
		}
		if now := s.host.overlay.table.foreignChanges; now != written {
			t.Errorf("%s: the table was replaced %d times, want changes of elements alone", addr, now-written)
		}
	}
}

// A target that left while no linker ran loses its flows of UDP when the next one starts.
func TestTargetsChangeWhileNoLinkerRuns(t *testing.T) {
	t.Parallel()
	s := newServiceLab(t, 1, 1)
	out := s.all[1]
	held := until(t, s.client, "tcp", at(service4, 80), out.ID)
	flow := until(t, s.client, "udp", at(service4, 80), out.ID)
	s.host.restart()
	s.lead(s.all[0])
	if replica, err := echo(held, ample); replica != out.ID {
		t.Errorf("on the established connection %q answers (%v), want %q", replica, err, out.ID)
	}
	if replica, err := echo(flow, ample); replica != s.all[0].ID {
		t.Errorf("datagrams are answered by %q (%v), want %q", replica, err, s.all[0].ID)
	}
}

// ping sends an echo request and returns "reply", "unreachable" or "silence".
func ping(t *testing.T, ns netns.NsHandle, addr netip.Addr) (result string) {
	t.Helper()
	network, request, reply, unreachable := "ip4:icmp", byte(8), byte(0), byte(3)
	if addr.Is6() {
		network, request, reply, unreachable = "ip6:ipv6-icmp", 128, 129, 1
	}
	packet := []byte{request, 0, 0, 0, 0x12, 0x34, 0, 1}
	if addr.Is4() { // the kernel computes only ICMPv6 checksums
		sum := ^(uint16(packet[0])<<8 + 0x1234 + 1)
		packet[2], packet[3] = byte(sum>>8), byte(sum)
	}
	enter(t, ns, func() {
		conn, err := net.ListenPacket(network, "")
		must(t, err)
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(ample))
		if _, err := conn.WriteTo(packet, &net.IPAddr{IP: addr.AsSlice()}); err != nil {
			result = err.Error()
			return
		}
		for buf := make([]byte, 1500); ; {
			_, from, err := conn.ReadFrom(buf)
			switch {
			case errors.Is(err, unix.ECONNREFUSED):
				result = "unreachable"
			case err != nil:
				result = "silence"
			case buf[0] == reply && from.String() == addr.String():
				result = "reply"
			case buf[0] == unreachable:
				result = "unreachable"
			}
			if result != "" {
				return
			}
		}
	})
	return result
}
