package overlay

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// healWithin is the longest time that Run may take to undo what another program did to routes,
// links, neighbours, addresses and sysctls.
const healWithin = 2 * time.Second

// damages are what other programs do to the first of two hosts: flush scripts, network managers,
// sysctl.d files, and people. The name of each says what it breaks.
func damages(a, b *labHost) []damage {
	veth := HostSide(a.endpoint(5).ID)
	return []damage{
		{"forwarding is off", "sysctl -qw net.ipv4.ip_forward=0", KindSysctl},
		{"IPv6 forwarding is off", "sysctl -qw net.ipv6.conf.all.forwarding=0", KindSysctl},
		{"forwarding of the device is off", "sysctl -qw net.ipv4.conf.tombolo0.forwarding=0", KindSysctl},
		{"forwarding of a container's interface is off", "sysctl -qw net.ipv4.conf." + veth + ".forwarding=0", KindSysctl},
		{"IPv6 is off everywhere", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1", KindSysctl},
		{"the device may not answer for 127.0.0.1", "sysctl -qw net.ipv4.conf.tombolo0.route_localnet=0", KindSysctl},
		{"the ARP filter is off", "sysctl -qw net.ipv4.conf." + veth + ".arp_filter=0", KindSysctl},
		{"the route to a peer is gone", "ip route del 100.64.2.0/24", KindRoute},
		{"the IPv6 route to a peer is gone", "ip -6 route del fd42:1:2:0:2::/80", KindRoute},
		{"the route to a peer leads nowhere", "ip route replace unreachable 100.64.2.0/24 proto 84", KindRoute},
		{"all routes of the overlay are gone", "ip route flush proto 84; ip -6 route flush proto 84", KindRoute},
		{"the route to a container is gone", "ip -4 route flush dev " + veth, KindRoute},
		{"neighbours are flushed", "ip neigh flush all nud permanent", KindNeighbour},
		{"the neighbour of a peer is gone", "ip neigh del 100.64.2.1 dev tombolo0", KindNeighbour},
		{"the neighbour of a peer is another", "ip neigh replace 100.64.2.1 lladdr 02:00:00:00:00:98 dev tombolo0 nud permanent", KindNeighbour},
		{"the forwarding entry of a peer is gone", "bridge fdb del " + b.MAC.String() + " dev tombolo0 dst 198.18.0.12", KindForwarding},
		{"the forwarding entry of a peer is another", "bridge fdb replace " + b.MAC.String() + " dev tombolo0 dst 198.18.0.77", KindForwarding},
		{"the device has no addresses", "ip addr flush dev tombolo0", KindAddress},
		{"a container's IPv6 gateway is gone", "ip -6 addr flush dev " + veth, KindAddress},
		{"the device has a foreign address", "ip addr add 100.64.9.9/32 dev tombolo0", KindAddress},
		{"the device is down", "ip link set tombolo0 down", KindDevice},
		{"the device is gone", "ip link del tombolo0", KindDevice},
		{"the device has another MAC address", "ip link set tombolo0 address 02:00:00:00:00:99", KindDevice},
		{"the device has another MTU", "ip link set tombolo0 mtu 900", KindDevice},
		{"the device does not filter", "tc qdisc del dev tombolo0 clsact", KindFilter},
		{"a container's interface is down", "ip link set " + veth + " down", KindInterface},
		{"a container's interface does not filter", "tc filter del dev " + veth + " egress", KindFilter},
		{"a container's interface does not filter what arrives", "tc filter del dev " + veth + " ingress", KindFilter},
		{"nftables is empty", "nft flush ruleset", KindPolicy},
		{"the gates are gone", "nft delete table netdev tombolo", KindPolicy},
		{"a gate is empty", "nft flush chain netdev tombolo " + veth, KindPolicy},
		{"a gate is closed", "nft add rule netdev tombolo " + veth + " drop", KindPolicy},
		{"packets of no known type are accepted", "sysctl -qw net.ipv4.conf." + veth + ".drop_unicast_in_l2_multicast=0", KindSysctl},
	}
}

type damage struct {
	name    string
	command string
	kind    RepairKind
}

// Run undoes each damage in time, counts it, and cuts no connection.
func TestRunHealsInTime(t *testing.T) {
	a, b, box, target, l := pair(t)
	runIn(t, a.ns, "ip link set lo up")
	a.keep()
	b.keep()
	conns := []net.Conn{}
	for _, c := range []struct {
		ns   netns.NsHandle
		addr string
	}{{box, at(target.Addr4, 80)}, {box, at(target.Addr6, 80)}, {l.outside, at(a.Underlay, 8001)}, {a.ns, at(target.Addr4, 80)}, {a.ns, "127.0.0.1:8001"}} {
		conn, err := dial(t, c.ns, "tcp", c.addr, ample)
		must(t, err)
		defer conn.Close()
		conns = append(conns, conn)
	}
	whole := kernelText(t, a.ns)
	for _, d := range damages(a, b) {
		t.Run(d.name, func(t *testing.T) {
			before := repairs(t, a.overlay, d.kind)
			began := time.Now()
			runIn(t, a.ns, d.command)
			var text string
			for text = kernelText(t, a.ns); text != whole; text = kernelText(t, a.ns) {
				if time.Since(began) > 2*healWithin {
					t.Fatalf("after %q the kernel is not as before (-before +after):\n%s", d.command, cmp.Diff(strings.Split(whole, "\n"), strings.Split(text, "\n")))
				}
			}
			took := time.Since(began)
			if took > healWithin {
				t.Errorf("after %q the kernel was as before after %v, want at most %v", d.command, took, healWithin)
			}
			waitFor(t, fmt.Sprintf("a repair of the kind %q was counted", d.kind), func() bool { return repairs(t, a.overlay, d.kind) > before })
			for _, conn := range conns {
				if _, err := echo(conn, ample); err != nil {
					t.Errorf("the connection to %s broke: %v", conn.RemoteAddr(), err)
				}
			}
			t.Logf("healed after %v", took.Round(time.Millisecond))
		})
	}
}

// What this host's own Overlay changes is no repair.
func TestOwnChangesAreNoRepairs(t *testing.T) {
	a, b, _, _, _ := pair(t)
	a.keep()
	a.run(a.endpoint(6))
	a.set()
	must(t, a.overlay.Detach(t.Context(), a.endpoint(6).ID))
	a.config.Endpoints = a.config.Endpoints[:1]
	a.config.Peers = nil
	a.set()
	a.config.Peers = []Peer{b.Peer}
	a.set()
	// Both ways to find damage are used once more, and find nothing but this.
	runIn(t, a.ns, "sysctl -qw net.ipv4.conf."+HostSide(a.endpoint(5).ID)+".arp_filter=0; ip route del 100.64.2.0/24")
	waitFor(t, "the repairs were counted", func() bool { return repairs(t, a.overlay, KindRoute)*repairs(t, a.overlay, KindSysctl) > 0 })
	for kind, want := range map[RepairKind]uint64{KindRoute: 1, KindSysctl: 1, KindDevice: 0, KindInterface: 0, KindAddress: 0, KindNeighbour: 0, KindForwarding: 0, KindFilter: 0} {
		if got := repairs(t, a.overlay, kind); got != want {
			t.Errorf("%d repairs of the kind %q were counted, want %d", got, kind, want)
		}
	}
}

func repairs(t *testing.T, o *Overlay, kind RepairKind) uint64 {
	t.Helper()
	counts, err := o.Counters()
	must(t, err)
	return counts["repaired_"+string(kind)]
}

// kernelText describes everything that an Overlay sets but for nftables.
func kernelText(t *testing.T, ns netns.NsHandle) string {
	t.Helper()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	enter(t, ns, func() {
		links, err := netlink.LinkList()
		must(t, err)
		for _, link := range links {
			if name := link.Attrs().Name; name == Device || vethName.MatchString(name) {
				describeLink(t, link, add)
			}
		}
		routes, err := listRoutes()
		must(t, err)
		for dst, r := range routes {
			add("route %s via %s src %s on %s, unreachable %v", dst, r.via, r.src, deviceName(r.device), r.unreachable)
		}
		for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
			add("%s = %s", name, readSysctl(t, name))
		}
	})
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// describeLink adds lines about one device. It fails no test if the device is deleted meanwhile.
func describeLink(t *testing.T, link netlink.Link, add func(format string, args ...any)) {
	t.Helper()
	attrs := link.Attrs()
	filters, _ := netlink.FilterList(link, netlink.HANDLE_MIN_EGRESS)
	arriving, _ := netlink.FilterList(link, netlink.HANDLE_MIN_INGRESS)
	open, _ := readGates()
	add("%s up %v mtu %d mac %s guard %v %v gate %v", attrs.Name, attrs.Flags&net.FlagUp != 0, attrs.MTU, attrs.HardwareAddr,
		slices.ContainsFunc(filters, isGuard), slices.ContainsFunc(arriving, isGuard), open[attrs.Name])
	addrs, _ := netlink.AddrList(link, netlink.FAMILY_ALL)
	for _, a := range addrs {
		add("%s has %s", attrs.Name, a.IPNet)
	}
	neighbours, _ := netlink.NeighList(attrs.Index, netlink.FAMILY_ALL)
	forwarding, _ := netlink.NeighList(attrs.Index, unix.AF_BRIDGE)
	for _, n := range append(neighbours, forwarding...) {
		if n.State&netlink.NUD_PERMANENT != 0 && n.IP != nil {
			add("%s neighbour %s %s family %d", attrs.Name, n.IP, n.HardwareAddr, n.Family)
		}
	}
	for _, name := range []string{"ipv4/conf/%s/forwarding", "ipv4/conf/%s/route_localnet", "ipv4/conf/%s/arp_filter", "ipv4/conf/%s/drop_unicast_in_l2_multicast", "ipv6/conf/%s/disable_ipv6"} {
		name = fmt.Sprintf(name, attrs.Name)
		add("%s = %s", name, readSysctl(t, name))
	}
}

func readSysctl(t *testing.T, name string) string {
	t.Helper()
	value, err := os.ReadFile(sysctlDir + name)
	if errors.Is(err, fs.ErrNotExist) {
		return "missing"
	}
	must(t, err)
	return strings.TrimSpace(string(value))
}

// An interface takes router advertisements after a program has set it back.
func TestRouterAdvertisementsStayAccepted(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	enter(t, h.ns, func() {
		must(t, setSysctl("ipv6/conf/all/forwarding", "0"))
		must(t, setSysctl("ipv6/conf/eth0/accept_ra", "1"))
		link, err := netlink.LinkByName("eth0")
		must(t, err)
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(hostPrefix(Gateway6)), Protocol: 9}))
	})
	h.set()
	h.keep()
	value := func() string {
		return strings.TrimSpace(string(runIn(t, h.ns, "cat /proc/sys/net/ipv6/conf/eth0/accept_ra")))
	}
	if got := value(); got != "2" {
		t.Fatalf("accept_ra is %s, want 2", got)
	}
	began := time.Now()
	runIn(t, h.ns, "sysctl -qw net.ipv6.conf.eth0.accept_ra=1")
	waitFor(t, "advertisements were accepted again", func() bool { return value() == "2" })
	if took := time.Since(began); took > healWithin {
		t.Errorf("advertisements were accepted again after %v, want at most %v", took, healWithin)
	}
}

// A network manager that handles advertisements itself has set accept_ra to 0; that stays.
func TestRouterAdvertisementsOfNetworkManagersAreTheirs(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	enter(t, h.ns, func() {
		must(t, setSysctl("ipv6/conf/all/forwarding", "0"))
		must(t, setSysctl("ipv6/conf/eth0/accept_ra", "0"))
		link, err := netlink.LinkByName("eth0")
		must(t, err)
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(hostPrefix(Gateway6)), Protocol: 9}))
	})
	h.set()
	if got := strings.TrimSpace(string(runIn(t, h.ns, "cat /proc/sys/net/ipv6/conf/eth0/accept_ra"))); got != "0" {
		t.Errorf("accept_ra is %s, want 0 as the network manager set it", got)
	}
}
