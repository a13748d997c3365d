package overlay

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netns"
)

// Hosts probe each other at their own overlay addresses, at the number of the gossip port.
// No container reaches that port of any host, with its own address or with a host's.
func TestOnlyHostsReachTheProbePort(t *testing.T) {
	t.Parallel()
	a, b, _ := attackLab(t)
	boxes := map[string]netns.NsHandle{"a container of the same host": b.run(b.endpoint(5)), "a container of another host": a.run(a.endpoint(5))}
	a.set()
	b.set()
	probe := netip.AddrPortFrom(b.Overlay4, 7980)
	heard := hearAll(t, b.ns, probe)
	for name, box := range boxes {
		tell(t, box, netip.Addr{}, probe, name)
		enter(t, box, func() { addAddr(t, "eth0", netip.PrefixFrom(a.Overlay4, 32)) })
		tell(t, box, a.Overlay4, probe, name+", in the name of a host")
	}
	tell(t, a.ns, a.Overlay4, probe, "a host")
	if diff := cmp.Diff([]string{"a host"}, heard()); diff != "" {
		t.Errorf("who reaches the probe port (-want +got):\n%s", diff)
	}
}

// hearAll returns a function that waits for the datagrams of the next moment, and returns the
// content of all since hearAll was called.
func hearAll(t *testing.T, ns netns.NsHandle, at netip.AddrPort) func() []string {
	t.Helper()
	var conn *net.UDPConn
	enter(t, ns, func() {
		var err error
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		must(t, err)
	})
	t.Cleanup(func() { conn.Close() })
	return func() (all []string) {
		buf := make([]byte, 64)
		for {
			must(t, conn.SetReadDeadline(time.Now().Add(patience)))
			n, err := conn.Read(buf)
			if err != nil {
				return all
			}
			all = append(all, string(buf[:n]))
		}
	}
}

// tell sends a datagram; the zero from is the address of the namespace.
func tell(t *testing.T, ns netns.NsHandle, from netip.Addr, to netip.AddrPort, text string) {
	t.Helper()
	enter(t, ns, func() {
		var local *net.UDPAddr
		if from.IsValid() {
			local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		}
		conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(to))
		must(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte(text))
		must(t, err)
	})
}
