package overlay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// neighbour says which MAC address a peer's overlay address has; forward, behind
// which underlay address a MAC address is. One of each per peer and family is all
// that VXLAN needs to know.
type (
	neighbour struct {
		addr netip.Addr
		mac  string
	}
	forward struct {
		mac      string
		underlay netip.Addr
	}
)

func wantedNeighbours(c Config) (map[netip.Addr]neighbour, map[string]forward) {
	near, far := map[netip.Addr]neighbour{}, map[string]forward{}
	for _, p := range c.Peers {
		if len(p.MAC) != 6 || !p.Underlay.IsValid() {
			continue
		}
		mac := string(p.MAC)
		far[mac] = forward{mac, p.Underlay}
		for _, addr := range []netip.Addr{p.Overlay4, p.Overlay6} {
			if addr.IsValid() && (addr.Is4() || c.Pool6.IsValid()) {
				near[addr] = neighbour{addr, mac}
			}
		}
	}
	return near, far
}

func setNeighbours(c Config, device netlink.Link) error {
	near, far := wantedNeighbours(c)
	index := device.Attrs().Index
	return errors.Join(
		syncEntries(index, netlink.FAMILY_ALL, near, func(n netlink.Neigh) (netip.Addr, neighbour) {
			addr, _ := netip.AddrFromSlice(n.IP)
			e := neighbour{addr.Unmap(), string(n.HardwareAddr)}
			if n.State&netlink.NUD_PERMANENT == 0 {
				e.mac = "" // learned: not what we want
			}
			return e.addr, e
		}, func(e neighbour) netlink.Neigh {
			return netlink.Neigh{IP: e.addr.AsSlice(), HardwareAddr: net.HardwareAddr(e.mac)}
		}),
		syncEntries(index, unix.AF_BRIDGE, far, func(n netlink.Neigh) (string, forward) {
			addr, _ := netip.AddrFromSlice(n.IP)
			return string(n.HardwareAddr), forward{string(n.HardwareAddr), addr.Unmap()}
		}, func(e forward) netlink.Neigh {
			return netlink.Neigh{Family: unix.AF_BRIDGE, Flags: netlink.NTF_SELF, IP: e.underlay.AsSlice(), HardwareAddr: net.HardwareAddr(e.mac)}
		}))
}

// syncEntries makes the device's entries of one family match want.
func syncEntries[K, V comparable](index, family int, want map[K]V, read func(netlink.Neigh) (K, V), write func(V) netlink.Neigh) error {
	list, err := netlink.NeighList(index, family)
	if err != nil {
		return fmt.Errorf("list neighbours: %w", err)
	}
	have := map[K]V{}
	var errs []error
	for _, n := range list {
		if n.Family == unix.AF_BRIDGE && family != unix.AF_BRIDGE || n.State&netlink.NUD_NOARP != 0 && family != unix.AF_BRIDGE {
			continue // multicast and broadcast entries are the kernel's own
		}
		key, value := read(n)
		have[key] = value
		if _, ok := want[key]; !ok {
			n.LinkIndex = index
			if err := netlink.NeighDel(&n); err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, fmt.Errorf("remove neighbour %s: %w", n.HardwareAddr, err))
			}
		}
	}
	for key, value := range want {
		if have[key] == value {
			continue
		}
		n := write(value)
		n.LinkIndex, n.State = index, netlink.NUD_PERMANENT
		if err := netlink.NeighSet(&n); err != nil {
			errs = append(errs, fmt.Errorf("set neighbour %s: %w", n.HardwareAddr, err))
		}
	}
	return errors.Join(errs...)
}
