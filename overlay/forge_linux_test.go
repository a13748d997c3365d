package overlay

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A container with all privileges in its namespace sends packets with the source addresses of
// another container of its host, of one on another host, of both hosts and of the outside.
func TestForgedSourceReachesNobody(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	a.set()
	b.set()
	friend, forger, server, far := a.endpoint(5), a.endpoint(6), a.endpoint(7), b.endpoint(5)
	a.run(friend)
	box, nserver, nfar := a.run(forger), a.run(server), b.run(far)
	a.config.Groups = []Group{allow(friend.Addr4, server.Addr4), allow(friend.Addr6, server.Addr6), allow(far.Addr4, server.Addr4), allow(forger.Addr4, server.Addr4, HostPort{7, "udp"})}
	b.config.Groups = []Group{allow(friend.Addr4, far.Addr4), allow(friend.Addr6, far.Addr6), allow(forger.Addr4, far.Addr4, HostPort{7, "udp"})}
	a.set()
	b.set()

	for _, target := range []struct {
		ns   netns.NsHandle
		addr netip.Addr
	}{{nserver, server.Addr4}, {nfar, far.Addr4}} {
		heard := hear(t, target.ns, at(target.addr, 7))
		for _, source := range []netip.Addr{friend.Addr4, a.Overlay4, b.Overlay4, far.Addr4, server.Addr4, a.Underlay, outsideAddr} {
			sendRaw(t, box, source, target.addr)
		}
		sendRaw(t, box, forger.Addr4, target.addr) // its own address arrives, and is the first to arrive
		if got := <-heard; got != forger.Addr4.String() {
			t.Errorf("%s first received a packet from %s, want only packets from %s", target.addr, got, forger.Addr4)
		}
	}

	listen(t, nserver, ":80")
	listen(t, nfar, ":80")
	enter(t, box, func() { // once more, with the forged addresses on its interface
		for _, addr := range []netip.Addr{friend.Addr4, friend.Addr6} {
			addAddr(t, "eth0", hostPrefix(addr))
		}
	})
	for _, addr := range []netip.Addr{server.Addr4, server.Addr6, far.Addr4, far.Addr6} {
		from := friend.Addr4
		if addr.Is6() {
			from = friend.Addr6
		}
		if got, err := askFrom(t, box, from, at(addr, 80)); err == nil {
			t.Errorf("reached %s with the forged source %s", addr, got)
		}
	}
	if n := count(t, a, "forged"); n < 12 {
		t.Errorf("%d packets are counted as forged, want at least 12", n)
	}
}

// A host that is no member cannot inject packets into the overlay. Neither can a container,
// although masquerading would give its packets the address of its host, which is a member.
func TestOnlyMembersCanSendVXLAN(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	a.set()
	b.set()
	victim, box := b.endpoint(5), a.run(a.endpoint(5))
	nvictim := b.run(victim)
	b.config.Groups = []Group{allow(a.endpoint(9).Addr4, victim.Addr4)}
	b.set()
	heard := hear(t, nvictim, at(victim.Addr4, 7))
	inner := ethernet(b.MAC, a.MAC, udpPacket(a.endpoint(9).Addr4, victim.Addr4))
	packet := append([]byte{8, 0, 0, 0, byte(DefaultVNI >> 16), byte(DefaultVNI >> 8 & 0xff), byte(DefaultVNI & 0xff), 0}, inner...)
	for _, from := range []netns.NsHandle{l.outside, box} {
		conn, err := dial(t, from, "udp", at(b.Underlay, DefaultPort), ample)
		must(t, err)
		_, _ = conn.Write(packet)
		conn.Close()
	}
	waitFor(t, "both packets are counted", func() bool { return count(t, b, "stranger") == 1 && count(t, a, "blocked") == 1 })
	// A member can, which also proves that the packet is well-formed.
	conn, err := dial(t, a.ns, "udp", at(b.Underlay, DefaultPort), ample)
	must(t, err)
	defer conn.Close()
	_, err = conn.Write(packet)
	must(t, err)
	if got := <-heard; got != a.endpoint(9).Addr4.String() {
		t.Errorf("the member's packet arrived from %s, want %s", got, a.endpoint(9).Addr4)
	}
	// Even a member cannot send from an address outside of the pool, or from b's block.
	before := count(t, b, "forged")
	for _, source := range []netip.Addr{outsideAddr, b.endpoint(6).Addr4} {
		forged := slices.Concat(packet[:8], ethernet(b.MAC, a.MAC, udpPacket(source, victim.Addr4)))
		_, err = conn.Write(forged)
		must(t, err)
	}
	waitFor(t, "both packets are counted as forged", func() bool { return count(t, b, "forged") == before+2 })
}

// A machine on the underlay cannot send from an address of the pool without the tunnel.
func TestTheOutsideCannotSendFromThePool(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	h := l.hosts[0]
	h.set()
	e := h.endpoint(5)
	h.run(e)
	enter(t, l.outside, func() {
		addAddr(t, "eth0", netip.MustParsePrefix("100.64.7.7/32"))
		must(t, netlink.RouteAdd(&netlink.Route{Dst: ipNet(h.Block4), Gw: h.Underlay.AsSlice()}))
	})
	_, _ = ask(t, l.outside, "tcp", at(h.Underlay, 1), patience) // so that both learn each other's MAC address
	_, _ = askFrom(t, l.outside, netip.MustParseAddr("100.64.7.7"), at(e.Addr4, 80))
	if count(t, h, "forged") == 0 {
		t.Error("a packet from an address of the pool is not counted as forged")
	}
	_, _ = ask(t, l.outside, "tcp", at(e.Addr4, 80), patience)
	if count(t, h, "refused") == 0 {
		t.Error("a packet from the outside to a container is not counted as refused")
	}
}

// The kernel has one neighbour table of about a thousand entries for the whole machine. A
// container must not fill it with addresses that it invents.
func TestInventedNeighboursDoNotFillTheTable(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	e := h.endpoint(5)
	box := h.run(e)
	listen(t, h.ns, ":80")
	reaches(t, box, "tcp", at(h.Overlay4, 80), e.Addr4.String())
	reaches(t, box, "tcp", at(h.Overlay6, 80), e.Addr6.String())
	enter(t, box, func() {
		link, err := netlink.LinkByName("eth0")
		must(t, err)
		mac := link.Attrs().HardwareAddr
		send := frames(t, link)
		for i := range 1000 {
			send(append(ethernet(net.HardwareAddr{255, 255, 255, 255, 255, 255}, mac, nil)[:12], arpRequest(mac, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))...))
			send(append(ethernet(hostSideMAC(e.Addr4), mac, nil)[:12], solicitation(mac, i)...))
		}
	})
	reaches(t, box, "udp", at(h.Overlay4, 80), e.Addr4.String()) // the kernel has processed all earlier frames
	enter(t, h.ns, func() {
		link, err := netlink.LinkByName(HostSide(e.ID))
		must(t, err)
		list4, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_V4)
		must(t, err)
		list6, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_V6)
		must(t, err)
		if len(list4) > 1 || len(list6) == 0 || len(list6) > 500 {
			t.Errorf("the host has %d IPv4 and %d IPv6 neighbours of the container, want at most 1 and from 1 to 500", len(list4), len(list6))
		}
	})
	reaches(t, box, "tcp", at(h.Overlay6, 80), e.Addr6.String())
}

// frames returns a function that sends raw Ethernet frames.
func frames(t *testing.T, out netlink.Link) (send func(frame []byte)) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return func(frame []byte) {
		must(t, unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: out.Attrs().Index}))
	}
}

// arpRequest returns an ARP request for the gateway with the sender address from.
func arpRequest(mac net.HardwareAddr, from netip.Addr) []byte {
	p := append([]byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, mac...)
	p = append(append(p, from.AsSlice()...), make([]byte, 6)...)
	return append(p, Gateway4.AsSlice()...)
}

// solicitation returns a neighbour solicitation for the gateway (RFC 4861 section 4.3) from the
// n-th invented link-local address.
func solicitation(mac net.HardwareAddr, n int) []byte {
	from := netip.MustParseAddr("fe80::1:0").As16()
	from[14], from[15] = byte(n>>8)+1, byte(n)
	body := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, Gateway6.AsSlice()...)
	body = append(append(body, 1, 1), mac...)
	pseudo := append(append(from[:], Gateway6.AsSlice()...), 0, 0, 0, byte(len(body)), 0, 0, 0, unix.IPPROTO_ICMPV6)
	var sum uint32
	for whole, i := slices.Concat(pseudo, body), 0; i < len(whole); i += 2 {
		sum += uint32(whole[i])<<8 | uint32(whole[i+1])
	}
	sum = ^(sum>>16 + sum&0xffff)
	body[2], body[3] = byte(sum>>8), byte(sum)
	p := append([]byte{0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(body)), unix.IPPROTO_ICMPV6, 255}, from[:]...)
	return append(append(p, Gateway6.AsSlice()...), body...)
}

// hear returns a channel with the source address of the first datagram that arrives.
func hear(t *testing.T, ns netns.NsHandle, addr string) <-chan string {
	t.Helper()
	heard := make(chan string, 1) // so that the goroutine never waits for the receiver
	enter(t, ns, func() {
		conn, err := net.ListenPacket("udp4", addr)
		must(t, err)
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			defer conn.Close()
			_, from, err := conn.ReadFrom(make([]byte, 64))
			if err != nil {
				heard <- err.Error()
				return
			}
			heard <- netip.MustParseAddrPort(from.String()).Addr().String()
		}()
	})
	return heard
}

// sendRaw sends a datagram to port 7 with an arbitrary source address.
func sendRaw(t *testing.T, ns netns.NsHandle, from, to netip.Addr) {
	t.Helper()
	enter(t, ns, func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		must(t, err)
		defer unix.Close(fd)
		must(t, unix.Sendto(fd, udpPacket(from, to), 0, &unix.SockaddrInet4{Addr: to.As4()}))
	})
}

// udpPacket returns an IPv4 datagram from port 9 to port 7. It has no UDP checksum, as RFC 768
// allows.
func udpPacket(from, to netip.Addr) []byte {
	p := append([]byte{0x45, 0, 0, 29, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}, from.AsSlice()...)
	p = append(p, to.AsSlice()...)
	var sum uint32
	for i := 0; i < len(p); i += 2 {
		sum += uint32(p[i])<<8 | uint32(p[i+1])
	}
	sum = ^(sum>>16 + sum&0xffff)
	p[10], p[11] = byte(sum>>8), byte(sum)
	return append(p, 0, 9, 0, 7, 0, 9, 0, 0, 'x')
}

func ethernet(to, from net.HardwareAddr, payload []byte) []byte {
	frame := append(append([]byte{}, to...), from...)
	return append(append(frame, 8, 0), payload...)
}

func askFrom(t *testing.T, ns netns.NsHandle, from netip.Addr, addr string) (string, error) {
	t.Helper()
	var conn net.Conn
	var err error
	enter(t, ns, func() {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}, Timeout: patience}
		conn, err = d.Dial("tcp", addr)
	})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return echo(conn, patience)
}

func count(t *testing.T, h *labHost, counter string) uint64 {
	t.Helper()
	counts, err := h.overlay.Counters()
	must(t, err)
	return counts[counter]
}

// waitFor polls until done returns true. The kernel does some things a moment after a send.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("5s passed before %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
