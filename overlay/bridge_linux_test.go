package overlay

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// bridged creates a namespace on a bridge of h, like a container of one of Docker's own networks.
func (h *labHost) bridged(bridge string, gateway, addr netip.Addr) netns.NsHandle {
	h.t.Helper()
	box := newNamespace(h.t)
	enter(h.t, h.ns, func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = bridge
		must(h.t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))
		br, err := netlink.LinkByName(bridge)
		must(h.t, err)
		attrs.Name = "p" + bridge[3:]
		must(h.t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(box))}))
		port, err := netlink.LinkByName("p" + bridge[3:])
		must(h.t, err)
		must(h.t, netlink.LinkSetMaster(port, br))
		addAddr(h.t, bridge, netip.PrefixFrom(gateway, 24))
		up(h.t, bridge)
		up(h.t, "p"+bridge[3:])
	})
	enter(h.t, box, func() {
		addAddr(h.t, "eth0", netip.PrefixFrom(addr, 24))
		up(h.t, "eth0")
		must(h.t, netlink.RouteAdd(&netlink.Route{Gw: gateway.AsSlice()}))
	})
	return box
}

// Docker isolates its networks from each other, and they stay isolated from ours: the containers
// of other networks are reached by the ports that they publish, and by no others.
func TestOtherNetworksOfTheHostStayIsolated(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	e, gateway, addr := h.endpoint(5), netip.MustParseAddr("172.30.0.1"), netip.MustParseAddr("172.30.0.2")
	box := h.run(e)
	h.set()
	other := h.bridged("br-0123456789ab", gateway, addr) // Set does not know this bridge yet
	listen(t, other, ":80")
	listen(t, other, ":81")
	listen(t, box, ":80")
	runIn(t, h.ns, `nft -f - <<-x
		table ip published {
			chain in {
				type nat hook prerouting priority dstnat
				fib daddr type local tcp dport 8081 dnat to 172.30.0.2:81
			}
		}
	x`)
	if _, err := ask(t, box, "tcp", at(addr, 80), ample); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting to a port that is not published = %v, want it refused at once", err)
	}
	cannotReach(t, box, "udp", at(addr, 80))
	cannotReach(t, other, "tcp", at(e.Addr4, 80))
	if got, err := ask(t, box, "tcp", at(h.Underlay, 8081), ample); err != nil {
		t.Errorf("connecting to a published port = %q, %v, want an answer", got, err)
	}

	enter(t, h.ns, func() { // with a port that leads elsewhere, it is a bridge to the outside
		br, err := netlink.LinkByName("br-0123456789ab")
		must(t, err)
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = "vlan7", br.Attrs().Index
		uplink, err := netlink.LinkByName("eth0")
		must(t, err)
		attrs.ParentIndex = uplink.Attrs().Index
		must(t, netlink.LinkAdd(&netlink.Vxlan{LinkAttrs: attrs, VxlanId: 7, Port: 4789}))
	})
	h.set()
	if _, err := ask(t, box, "tcp", at(addr, 80), ample); err != nil {
		t.Errorf("connecting by a bridge that leads to the outside: %v", err)
	}
}
