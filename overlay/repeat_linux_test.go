package overlay

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// pair returns two hosts with a container each. The first container may reach the second.
func pair(t *testing.T) (a, b *labHost, box netns.NsHandle, target Endpoint, l *lab) {
	t.Helper()
	l = newLab(t, 2)
	a, b = l.hosts[0], l.hosts[1]
	a.set()
	b.set()
	from, target := a.endpoint(5), b.endpoint(5)
	box = a.run(from)
	listen(t, b.run(target), ":80")
	b.config.Groups = []Group{allow(from.Addr4, target.Addr4), allow(from.Addr6, target.Addr6)}
	a.config.Publish = []Publish{{HostPort: 8001, Proto: "tcp", To: target.Addr4, Port: 80}}
	a.set()
	b.set()
	return a, b, box, target, l
}

// Connections of all kinds survive repeated Sets, a new Overlay that adopts the kernel's state,
// and the loss of the permission that they began with.
func TestConnectionsOutliveSet(t *testing.T) {
	t.Parallel()
	a, b, box, target, l := pair(t)
	var conns []net.Conn
	for _, c := range []struct {
		ns   netns.NsHandle
		addr string
	}{{box, at(target.Addr4, 80)}, {box, at(target.Addr6, 80)}, {l.outside, at(a.Underlay, 8001)}, {a.ns, at(target.Addr4, 80)}} {
		conn, err := dial(t, c.ns, "tcp", c.addr, ample)
		must(t, err)
		defer conn.Close()
		conns = append(conns, conn)
	}
	device := linkIndex(t, a.ns, Device)
	alive := func(after string) {
		t.Helper()
		for _, conn := range conns {
			if _, err := echo(conn, ample); err != nil {
				t.Fatalf("after %s: %s: %v", after, conn.RemoteAddr(), err)
			}
		}
	}
	alive("the first Set")
	for range 3 {
		a.set()
		b.set()
		alive("a repeated Set")
	}
	for range 3 {
		a.restart()
		b.restart()
		a.set()
		b.set()
		alive("a restart")
	}
	if got := linkIndex(t, a.ns, Device); got != device {
		t.Error("the VXLAN device was replaced, want the same one")
	}
	b.config.Groups, a.config.Publish = nil, nil
	a.restart() // as when the catalog of a restarted linker is still empty
	b.restart()
	a.set()
	b.set()
	alive("the permission was removed")
	cannotReach(t, box, "tcp", at(target.Addr4, 80))
}

// A repeated Set changes nothing in the kernel.
func TestRepeatedSetChangesNothing(t *testing.T) {
	t.Parallel()
	a, _, _, _, _ := pair(t)
	gen := func() (g uint32) {
		enter(t, a.ns, func() { var err error; g, err = generation(); must(t, err) })
		return g
	}
	before, changes := gen(), watchKernel(t, a.ns)
	for range 3 {
		a.set()
	}
	if after := gen(); after != before {
		t.Errorf("a repeated Set changed nftables: its generation was %d and is %d", before, after)
	}
	if got := changes(); len(got) > 0 {
		t.Errorf("a repeated Set changed links, addresses or routes: %v", got)
	}
}

// watchKernel collects changes of links, addresses and routes until the returned function is
// called.
func watchKernel(t *testing.T, ns netns.NsHandle) func() []string {
	t.Helper()
	done := make(chan struct{})
	routes, addrs, links := make(chan netlink.RouteUpdate, 64), make(chan netlink.AddrUpdate, 64), make(chan netlink.LinkUpdate, 64)
	must(t, netlink.RouteSubscribeAt(ns, routes, done))
	must(t, netlink.AddrSubscribeAt(ns, addrs, done))
	must(t, netlink.LinkSubscribeAt(ns, links, done))
	return func() (seen []string) {
		// One more change by the test marks the end of each stream.
		enter(t, ns, func() {
			addAddr(t, "lo", netip.MustParsePrefix("127.9.9.9/32"))
			link, err := netlink.LinkByName("lo")
			must(t, err)
			must(t, netlink.LinkSetMTU(link, 60000))
		})
		for r := range routes {
			if r.Dst != nil && r.Dst.IP.Equal(net.IPv4(127, 9, 9, 9)) {
				break
			}
			seen = append(seen, r.Route.String())
		}
		for a := range addrs {
			if a.LinkAddress.IP.Equal(net.IPv4(127, 9, 9, 9)) {
				break
			}
			seen = append(seen, a.LinkAddress.String())
		}
		for u := range links {
			if u.Attrs().Name == "lo" {
				break
			}
			seen = append(seen, u.Attrs().Name)
		}
		close(done)
		return seen
	}
}

// Set repairs everything that somebody has broken by hand.
func TestSetRepairsEverything(t *testing.T) {
	t.Parallel()
	a, b, box, target, l := pair(t)
	for _, breakage := range breakages(a, b) {
		runIn(t, breakage.on.ns, breakage.command)
		a.set()
		b.set()
		for _, target := range []string{at(target.Addr4, 80), at(target.Addr6, 80)} {
			if _, err := ask(t, box, "tcp", target, ample); err != nil {
				t.Errorf("after %q and Set: cannot reach %s: %v", breakage.command, target, err)
			}
		}
		if _, err := ask(t, l.outside, "tcp", at(a.Underlay, 8001), ample); err != nil {
			t.Errorf("after %q and Set: cannot reach the published port: %v", breakage.command, err)
		}
		if mtu := linkMTU(t, a.ns, Device); mtu != 1450 {
			t.Errorf("after %q and Set: the VXLAN device has MTU %d, want 1450", breakage.command, mtu)
		}
	}
	cannotReach(t, box, "tcp", at(b.Overlay4, 80))
}

type breakage struct {
	on      *labHost
	command string
}

func breakages(a, b *labHost) []breakage {
	veth := HostSide(a.endpoint(5).ID)
	return []breakage{
		{a, "nft flush ruleset"},
		{b, "nft flush table inet tombolo"},
		{b, "nft flush chain inet tombolo to_container"},
		{b, "nft insert rule inet tombolo to_container drop"},
		{b, "nft flush set inet tombolo senders4"},
		{b, "nft flush set inet tombolo members4"},
		{a, "nft delete element inet tombolo publish_any4 { tcp . 8001 }"},
		{a, "nft add element inet tombolo internal4 { 100.64.1.5 }"},
		{a, "ip link del tombolo0"},
		{a, "ip link set tombolo0 down"},
		{a, "ip link set tombolo0 address 02:00:00:00:00:99"},
		{a, "ip link set tombolo0 mtu 900"},
		{a, "ip route del 100.64.2.0/24"},
		{a, "ip route replace unreachable 100.64.2.0/24 proto 84"},
		{a, "ip -6 route del fd42:1:2:0:2::/80"},
		{a, "ip neigh del 100.64.2.1 dev tombolo0"},
		{a, "ip neigh replace 100.64.2.1 lladdr 02:00:00:00:00:98 dev tombolo0 nud permanent"},
		{a, "bridge fdb del " + b.MAC.String() + " dev tombolo0 dst 198.18.0.12"},
		{a, "bridge fdb replace " + b.MAC.String() + " dev tombolo0 dst 198.18.0.77"},
		{a, "ip addr flush dev tombolo0"},
		{a, "ip link set " + veth + " down"},
		{a, "ip -4 route flush dev " + veth},
		{a, "ip -6 addr flush dev " + veth},
		{a, "sysctl -qw net.ipv4.ip_forward=0"},
		{a, "sysctl -qw net.ipv6.conf.all.forwarding=0"},
	}
}

// When a peer leaves, its entries are removed, and no others.
func TestEntriesOfAPeerLeaveWithIt(t *testing.T) {
	t.Parallel()
	l := newLab(t, 3)
	a := l.hosts[0]
	for _, h := range l.hosts {
		h.set()
	}
	b, c := l.hosts[1].endpoint(5), l.hosts[2].endpoint(5)
	listen(t, l.hosts[1].run(b), ":80")
	listen(t, l.hosts[2].run(c), ":80")
	reaches(t, a.ns, "tcp", at(b.Addr4, 80), a.Overlay4.String())
	reaches(t, a.ns, "tcp", at(c.Addr4, 80), a.Overlay4.String())
	a.config.Peers = a.config.Peers[1:]
	a.set()
	cannotReach(t, a.ns, "tcp", at(b.Addr4, 80))
	reaches(t, a.ns, "tcp", at(c.Addr4, 80), a.Overlay4.String())
	for _, command := range []string{"ip route", "ip -6 route", "ip neigh show dev tombolo0", "bridge fdb", "nft list set inet tombolo members4"} {
		if out := runIn(t, a.ns, command); bytes.Contains(out, []byte("100.64.2.")) || bytes.Contains(out, []byte("0:2::")) || bytes.Contains(out, []byte("198.18.0.12")) {
			t.Errorf("%s still lists the peer that left: %s", command, out)
		}
	}
}

func TestClearLeavesNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	h := l.hosts[0]
	list := func() (out string) {
		for _, command := range []string{"ip -br link", "ip -br addr show scope global", "ip route", "ip -6 route | sed /^fe80:/d", "nft list ruleset"} {
			out += string(runIn(t, h.ns, command))
		}
		return out
	}
	waitFor(t, "eth0 was up", func() bool { return strings.Contains(string(runIn(t, h.ns, "ip -br link show eth0")), " UP ") })
	before := list()
	h.set()
	h.run(h.endpoint(5))
	must(t, h.overlay.Clear(t.Context()))
	must(t, h.overlay.Clear(t.Context())) // to clear again is harmless
	if diff := cmp.Diff(before, list()); diff != "" {
		t.Errorf("the kernel before Set and after Clear (-before +after):\n%s", diff)
	}
	if _, err := h.overlay.Attach(t.Context(), h.endpoint(5)); !errors.Is(err, ErrNotSet) {
		t.Errorf("Attach after Clear = %v, want %v", err, ErrNotSet)
	}
}

func runIn(t testing.TB, ns netns.NsHandle, command string) (out []byte) {
	t.Helper()
	enter(t, ns, func() {
		var err error
		if out, err = exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	})
	return out
}

func linkIndex(t *testing.T, ns netns.NsHandle, name string) int {
	t.Helper()
	return attrsOf(t, ns, name).Index
}

func linkMTU(t *testing.T, ns netns.NsHandle, name string) int {
	t.Helper()
	return attrsOf(t, ns, name).MTU
}

func attrsOf(t *testing.T, ns netns.NsHandle, name string) (attrs *netlink.LinkAttrs) {
	t.Helper()
	enter(t, ns, func() {
		link, err := netlink.LinkByName(name)
		must(t, err)
		attrs = link.Attrs()
	})
	return attrs
}
