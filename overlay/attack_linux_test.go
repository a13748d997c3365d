package overlay

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

var (
	dockerGateway = netip.MustParseAddr("172.30.0.1")
	plainAddr     = netip.MustParseAddr("172.30.0.2") // of a container on a network of Docker's
	second        = netip.MustParseAddr("198.18.0.62")
	second6       = netip.MustParseAddr("2001:db8::62")
)

// attackLab has hosts a and b. Host b has a second address of each family and a container of
// Docker's own networks, and checks no source addresses.
func attackLab(t *testing.T) (a, b *labHost, plain netns.NsHandle) {
	l := newLab(t, 2)
	a, b = l.hosts[0], l.hosts[1]
	plain = b.bridged("br-0123456789ab", dockerGateway, plainAddr)
	enter(t, b.ns, func() {
		addAddr(t, "eth0", netip.PrefixFrom(second, 24))
		addAddr(t, "eth0", netip.PrefixFrom(second6, 64))
		for _, name := range []string{"all", "eth0", "br-0123456789ab"} {
			must(t, setSysctl("ipv4/conf/"+name+"/rp_filter", "0"))
		}
		runIn(t, b.ns, "iptables -t nat -A POSTROUTING -s 172.30.0.0/24 ! -o br-0123456789ab -j MASQUERADE")
	})
	enter(t, a.ns, func() { addAddr(t, "eth0", netip.MustParsePrefix("2001:db8::11/64")) })
	for _, h := range []*labHost{a, b} {
		h.config.Blocked = []HostPort{{7980, "tcp"}, {7980, "udp"}}
		h.set()
	}
	return a, b, plain
}

// VXLAN enters from a member, by the interface that leads to it, at the underlay address.
func TestForgedVXLANIsDropped(t *testing.T) {
	t.Parallel()
	a, b, plain := attackLab(t)
	victim := b.endpoint(5)
	heard := hear(t, b.run(victim), at(victim.Addr4, 7))
	b.config.Groups = []Group{allow(a.endpoint(9).Addr4, victim.Addr4)}
	b.set()
	vxlan := encapsulated(a, b, a.endpoint(9).Addr4, victim.Addr4)
	broadcast := netip.MustParseAddr("172.30.0.255")
	for name, attack := range map[string]struct {
		ns       netns.NsHandle
		from, to netip.AddrPort
	}{
		"from docker0 to the underlay address":   {plain, netip.AddrPortFrom(a.Underlay, 40000), netip.AddrPortFrom(b.Underlay, DefaultPort)},
		"from docker0 to docker0's address":      {plain, netip.AddrPortFrom(a.Underlay, 40000), netip.AddrPortFrom(dockerGateway, DefaultPort)},
		"from docker0 to docker0's broadcast":    {plain, netip.AddrPortFrom(a.Underlay, 40000), netip.AddrPortFrom(broadcast, DefaultPort)},
		"from docker0 to a multicast group":      {plain, netip.AddrPortFrom(a.Underlay, 40000), netip.MustParseAddrPort("224.0.0.1:8480")},
		"from a member to a second address":      {a.ns, netip.AddrPortFrom(a.Underlay, 40000), netip.AddrPortFrom(second, DefaultPort)},
		"from a member to a second IPv6 address": {a.ns, netip.MustParseAddrPort("[2001:db8::11]:40000"), netip.AddrPortFrom(second6, DefaultPort)},
		"from the host itself":                   {b.ns, netip.AddrPortFrom(b.Underlay, 40000), netip.AddrPortFrom(b.Underlay, DefaultPort)},
	} {
		t.Run(name, func(t *testing.T) {
			before := count(t, b, "stranger")
			sendUDP(t, attack.ns, attack.from, attack.to, vxlan)
			waitFor(t, "the packet is counted", func() bool { return count(t, b, "stranger") == before+1 })
		})
	}
	sendUDP(t, a.ns, netip.AddrPortFrom(a.Underlay, 40000), netip.AddrPortFrom(b.Underlay, DefaultPort), encapsulated(a, b, a.endpoint(8).Addr4, victim.Addr4))
	sendUDP(t, a.ns, netip.AddrPortFrom(a.Underlay, 40000), netip.AddrPortFrom(b.Underlay, DefaultPort), vxlan)
	if got := <-heard; got != a.endpoint(9).Addr4.String() {
		t.Errorf("the member's packet arrived from %s, want %s", got, a.endpoint(9).Addr4)
	}
}

// No host sends VXLAN for a container: neither masqueraded, nor as the answer of a server
// whose client had the forged address of a member.
func TestHostsRelayNoVXLAN(t *testing.T) {
	t.Parallel()
	a, b, plain := attackLab(t)
	box := b.run(b.endpoint(5))
	b.set()
	listen(t, b.ns, ":9") // a relay, such as docker-proxy
	listen(t, box, ":9")
	arrived := hear(t, a.ns, ":9999")
	enter(t, a.ns, func() { // a stands for all members: it counts what enters
		runIn(t, a.ns, "nft add table inet watch && nft add chain inet watch in '{ type filter hook prerouting priority -500; }' && nft add rule inet watch in udp dport 8480 counter")
	})
	payload := []byte("x")
	for _, to := range []netip.Addr{a.Underlay, outsideAddr} {
		before := count(t, b, "stranger") + count(t, b, "blocked")
		sendUDP(t, plain, netip.AddrPortFrom(plainAddr, 40000), netip.AddrPortFrom(to, DefaultPort), payload)
		sendUDP(t, box, netip.AddrPortFrom(b.endpoint(5).Addr4, 40000), netip.AddrPortFrom(to, DefaultPort), payload)
		waitFor(t, "both packets are counted", func() bool { return count(t, b, "stranger")+count(t, b, "blocked") == before+2 })
	}
	before := count(t, b, "stranger")
	for _, to := range []netip.Addr{b.Underlay, dockerGateway} {
		sendUDP(t, plain, netip.AddrPortFrom(a.Underlay, DefaultPort), netip.AddrPortFrom(to, 9), payload)
	}
	waitFor(t, "both requests are counted", func() bool { return count(t, b, "stranger") == before+2 })
	sendUDP(t, b.ns, netip.AddrPortFrom(b.Underlay, 40000), netip.AddrPortFrom(a.Underlay, 9999), payload)
	<-arrived // everything that b sent before has arrived
	if out := string(runIn(t, a.ns, "nft list chain inet watch in")); !strings.Contains(out, "packets 0") {
		t.Errorf("VXLAN packets of a container arrived at a member: %s", out)
	}
}

// A container replies to a client with the forged address and port of a member's tunnel.
func TestRepliesOfContainersAreNoVXLAN(t *testing.T) {
	t.Parallel()
	_, b, plain := attackLab(t)
	e := b.endpoint(5)
	box := b.run(e)
	b.config.Publish = []Publish{{HostPort: 9000, Proto: "udp", To: e.Addr4, Port: 9}}
	b.set()
	listen(t, box, ":9")
	reaches(t, plain, "udp", at(b.Underlay, 9000), b.Underlay.String())
	// Some other address of a member, which no set has: the reply itself is refused.
	unknown := netip.AddrPortFrom(netip.MustParseAddr("198.18.0.61"), DefaultPort)
	before := count(t, b, "blocked")
	sendUDP(t, plain, unknown, netip.AddrPortFrom(b.Underlay, 9000), []byte("x"))
	waitFor(t, "the reply is refused", func() bool { return count(t, b, "blocked") > before })
}

// The ports of linkers, Docker and Mesos are closed to containers at every address of every
// host, also to the containers of Docker's own networks.
func TestControlPortsAreClosedAtEveryAddress(t *testing.T) {
	t.Parallel()
	a, b, plain := attackLab(t)
	near, far := b.run(b.endpoint(5)), a.run(a.endpoint(5))
	a.set()
	b.set()
	listen(t, a.ns, ":7980")
	listen(t, b.ns, ":7980")
	for _, target := range []netip.Addr{b.Underlay, second, second6, dockerGateway, b.Overlay4, b.Overlay6} {
		refused(t, near, at(target, 7980))
	}
	for _, target := range []netip.Addr{b.Underlay, second, second6} {
		refused(t, far, at(target, 7980))
	}
	for _, target := range []netip.Addr{b.Underlay, second, dockerGateway, a.Underlay} {
		refused(t, plain, at(target, 7980))
		cannotReach(t, plain, "udp", at(target, 7980))
	}
	reaches(t, a.ns, "tcp", at(second, 7980), a.Underlay.String()) // members reach them
}

// A container of Docker's own networks does not reach the control ports of another host at the
// addresses that this one announces. Addresses that others have as well close nothing.
func TestControlPortsAreClosedAtAnnouncedAddresses(t *testing.T) {
	t.Parallel()
	a, b, _ := attackLab(t)
	b.keep()
	enter(t, b.ns, func() { addAddr(t, "lo", netip.MustParsePrefix("203.0.113.5/32")) })
	want := []netip.Addr{second, netip.MustParseAddr("203.0.113.5"), second6}
	waitFor(t, "b had noticed its addresses, but for that of its bridge", func() bool { return slices.Equal(b.overlay.Addresses(), want) })
	plain := a.bridged("br-000000000001", netip.MustParseAddr("172.31.0.1"), netip.MustParseAddr("172.31.0.2"))
	runIn(t, a.ns, "iptables -t nat -A POSTROUTING -s 172.31.0.0/24 ! -o br-000000000001 -j MASQUERADE")
	listen(t, b.ns, ":7980")
	listen(t, b.ns, ":80")
	reaches(t, plain, "tcp", at(second, 7980), a.Underlay.String()) // a does not know the address yet
	a.config.Peers[0].Addresses = b.overlay.Addresses()
	a.set()
	refused(t, plain, at(second, 7980))
	cannotReach(t, plain, "udp", at(second, 7980))
	reaches(t, plain, "tcp", at(second, 80), a.Underlay.String())
	a.config.Peers = append(slices.Clone(a.config.Peers), Peer{Name: "h3", Underlay: netip.MustParseAddr("198.18.0.13"), Addresses: []netip.Addr{second}})
	a.set()
	reaches(t, plain, "tcp", at(second, 7980), a.Underlay.String())
}

// A machine on the underlay sends a packet for 127.0.0.1 to the host's MAC address. The port
// is published at 127.0.0.1, so it would be translated before the kernel drops the packet.
func TestLoopbackPortsAnswerNoNeighbour(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	h := l.hosts[0]
	h.set()
	e := h.endpoint(5)
	box := h.run(e)
	loopback := netip.MustParseAddr("127.0.0.1")
	h.config.Publish = []Publish{{HostIP: loopback, HostPort: 7, Proto: "udp", To: e.Addr4, Port: 7}}
	h.set()
	heard := hear(t, box, at(e.Addr4, 7))
	before := count(t, h, "forged")
	_, _ = ask(t, l.outside, "tcp", at(h.Underlay, 1), patience)
	mac := attrsOf(t, h.ns, "eth0").HardwareAddr
	enter(t, l.outside, func() {
		link, err := netlink.LinkByName("eth0")
		must(t, err)
		frames(t, link)(ethernet(mac, link.Attrs().HardwareAddr, udpPacket(outsideAddr, loopback)))
	})
	waitFor(t, "the packet is counted", func() bool { return count(t, h, "forged") == before+1 })
	sendUDP(t, h.ns, netip.MustParseAddrPort("127.0.0.1:9"), netip.AddrPortFrom(loopback, 7), []byte("x"))
	if got := <-heard; got != h.Overlay4.String() {
		t.Errorf("the container first heard %s, want the host's own packet from %s", got, h.Overlay4)
	}
}

// Clouds give out credentials at link-local and other well-known addresses.
func TestMetadataIsRefused(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	box := h.run(h.endpoint(5))
	listen(t, h.ns, ":80")
	reaches(t, box, "tcp", at(Gateway4, 80), h.endpoint(5).Addr4.String())
	for _, target := range []string{
		"169.254.169.254:80", "169.254.170.2:80", "169.254.0.23:80", "169.254.1.2:80", "168.63.129.16:80",
		"[fd00:ec2::254]:80", "[fd00:ec2::23]:80", "[fd20:ce::254]:80", "[fd00:42::42]:80", "[fd00:c1::a9fe:a9fe]:80", "[64:ff9b::a9fe:a9fe]:80",
	} {
		refused(t, box, target)
	}
}

// An internal container on another host reaches containers as far as Groups permit, and no
// published port of this host: its own host refuses that, and so does this one.
func TestInternalContainersOfOtherHosts(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	shut, open, to := a.endpoint(5), a.endpoint(6), b.endpoint(5)
	shut.Internal = true
	a.set()
	b.set()
	nshut, nopen, target := a.run(shut), a.run(open), b.run(to)
	listen(t, target, ":80")
	b.config.Publish = []Publish{{HostPort: 8080, Proto: "tcp", To: to.Addr4, Port: 80}, {HostPort: 8080, Proto: "tcp", To: to.Addr6, Port: 80}}
	a.set()
	b.set()
	reaches(t, nopen, "tcp", at(b.Overlay4, 8080), b.Overlay4.String())
	refused(t, nshut, at(b.Overlay4, 8080))
	refused(t, nshut, at(b.Overlay6, 8080))
	cannotReach(t, nshut, "tcp", at(b.Underlay, 8080))

	// The same where the sender's host does not know that the container is internal.
	a.config.Endpoints = nil
	shut.Internal = false
	a.config.Endpoints = []Endpoint{shut, open}
	a.overlay.want.attached = map[string]Endpoint{}
	a.set()
	reaches(t, nshut, "tcp", at(b.Overlay4, 8080), b.Overlay4.String())
	b.config.Internal = []netip.Addr{shut.Addr4, shut.Addr6}
	b.set()
	cannotReach(t, nshut, "tcp", at(b.Overlay4, 8080))
	cannotReach(t, nshut, "tcp", at(b.Overlay6, 8080))
	b.config.Groups = []Group{allow(shut.Addr4, to.Addr4)}
	b.set()
	reaches(t, nshut, "tcp", at(to.Addr4, 80), shut.Addr4.String())
}

// refused checks that a TCP connection is refused at once.
func refused(t *testing.T, ns netns.NsHandle, addr string) {
	t.Helper()
	if _, err := ask(t, ns, "tcp", addr, ample); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting to %s = %v, want it refused at once", addr, err)
	}
}

// encapsulated returns the contents of a VXLAN packet between two hosts, with a datagram.
func encapsulated(from, to *labHost, source, target netip.Addr) []byte {
	header := []byte{8, 0, 0, 0, byte(DefaultVNI >> 16), byte(DefaultVNI >> 8 & 0xff), byte(DefaultVNI & 0xff), 0}
	return append(header, ethernet(to.MAC, from.MAC, udpPacket(source, target))...)
}

// sendUDP sends a datagram with an arbitrary source address and port from a raw socket.
func sendUDP(t *testing.T, ns netns.NsHandle, from, to netip.AddrPort, payload []byte) {
	t.Helper()
	enter(t, ns, func() {
		if to.Addr().Is6() {
			d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(from)}
			conn, err := d.Dial("udp", to.String())
			must(t, err)
			defer conn.Close()
			_, err = conn.Write(payload)
			must(t, err)
			return
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		must(t, err)
		defer unix.Close(fd)
		must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
		p := udpPacket(from.Addr(), to.Addr())[:20]
		binary.BigEndian.PutUint16(p[2:], uint16(28+len(payload))) // the kernel fills in the checksum
		p = binary.BigEndian.AppendUint16(p, from.Port())
		p = binary.BigEndian.AppendUint16(p, to.Port())
		p = binary.BigEndian.AppendUint16(p, uint16(8+len(payload)))
		p = append(append(p, 0, 0), payload...)
		must(t, unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: to.Addr().As4()}))
	})
}
