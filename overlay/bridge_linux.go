package overlay

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dockerUser accepts our containers' packets before the rules that isolate Docker's other
// networks. So our own policy has to keep containers off these networks: they may not leave
// by a bridge, unless that bridge leads to the outside.

// insidePorts are the kinds of devices that connect containers and virtual machines of this
// host to a bridge.
var insidePorts = []string{"veth", "tuntap", "dummy"}

// outsideBridges returns the names of the bridges that lead to the outside. A bridge does if
// one of its ports belongs to no container or virtual machine, or if the host itself uses the
// bridge for VXLAN or for its default route.
func outsideBridges(c Config) ([]string, error) {
	links, err := dumpLinks()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	uplinks, err := defaultRouteDevices()
	if err != nil {
		return nil, err
	}
	outside := map[int]bool{}
	for _, l := range links {
		if master := l.Attrs().MasterIndex; master != 0 && !slices.Contains(insidePorts, l.Type()) {
			outside[master] = true
		}
	}
	if link := linkWithAddr(c.Self.Underlay); link != nil {
		outside[link.Attrs().Index] = true
	}
	for _, index := range uplinks {
		outside[index] = true
	}
	var names []string
	for _, l := range links {
		if l.Type() == "bridge" && outside[l.Attrs().Index] {
			names = append(names, l.Attrs().Name)
		}
	}
	return names, nil
}

// hostAddresses returns the addresses of the host by which other machines may reach it, in order:
// those of devices that lead to the outside. It leaves out the underlay address, which peers know.
func hostAddresses(c Config, outside []string) ([]netip.Addr, error) {
	links, err := dumpLinks()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	inside := map[int]bool{}
	for _, l := range links {
		name := l.Attrs().Name
		bridge := l.Type() == "bridge" && !slices.Contains(outside, name)
		inside[l.Attrs().Index] = bridge || name == Device || vethName.MatchString(name)
	}
	all, err := dumpAddrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var found []netip.Addr
	for _, a := range all {
		addr, ok := netip.AddrFromSlice(a.IP)
		addr = addr.Unmap()
		passing := addr.Is6() && a.Flags&unix.IFA_F_TEMPORARY != 0 // for clients only
		if ok && addr.IsGlobalUnicast() && addr != c.Self.Underlay && !inside[a.LinkIndex] && !passing {
			found = append(found, addr)
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found), nil
}

func defaultRouteDevices() ([]int, error) {
	routes, err := dumpRoutes(netlink.FAMILY_ALL, netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var devices []int
	for _, r := range routes {
		if prefixOf(r.Dst).Bits() > 0 {
			continue
		}
		devices = append(devices, r.LinkIndex)
		for _, hop := range r.MultiPath {
			devices = append(devices, hop.LinkIndex)
		}
	}
	return devices, nil
}
