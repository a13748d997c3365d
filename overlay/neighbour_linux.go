package overlay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// neighbour is a neighbour entry of the VXLAN device, with the overlay address that has the MAC
// address mac, or a forwarding entry, with the underlay address behind mac.
type neighbour struct {
	addr netip.Addr
	mac  string
}

func (n neighbour) String() string {
	return n.addr.String() + " lladdr " + net.HardwareAddr(n.mac).String()
}

func (neighbour) kind(family int) RepairKind {
	if family == unix.AF_BRIDGE {
		return KindForwarding
	}
	return KindNeighbour
}

// setNeighbours makes the device's neighbour and forwarding entries match the peers.
func (m *match) setNeighbours() error {
	neighbours, forwarding := wantedNeighbours(m.c)
	return errors.Join(
		syncEntries(m, netlink.FAMILY_ALL, neighbours, func(n neighbour) netip.Addr { return n.addr }),
		syncEntries(m, unix.AF_BRIDGE, forwarding, func(n neighbour) string { return n.mac }))
}

func wantedNeighbours(c Config) (neighbours map[netip.Addr]neighbour, forwarding map[string]neighbour) {
	neighbours, forwarding = map[netip.Addr]neighbour{}, map[string]neighbour{}
	for _, p := range c.Peers {
		if len(p.MAC) != 6 || !p.Underlay.IsValid() {
			continue
		}
		mac := string(p.MAC)
		forwarding[mac] = neighbour{p.Underlay, mac}
		for _, addr := range []netip.Addr{p.Overlay4, p.Overlay6} {
			if addr.IsValid() && (addr.Is4() || c.Pool6.IsValid()) {
				neighbours[addr] = neighbour{addr, mac}
			}
		}
	}
	return neighbours, forwarding
}

// syncEntries makes the device's entries match want. The family is AF_BRIDGE for forwarding
// entries and FAMILY_ALL for neighbour entries. The kernel has at most one entry for each key.
func syncEntries[K comparable](m *match, family int, want map[K]neighbour, key func(neighbour) K) error {
	index := m.device.Attrs().Index
	list, err := dumpNeighbours(index, family)
	if err != nil {
		return fmt.Errorf("list neighbours: %w", err)
	}
	have := map[K]neighbour{}
	var errs []error
	for _, n := range list {
		if family != unix.AF_BRIDGE && (n.Family == unix.AF_BRIDGE || n.State&netlink.NUD_NOARP != 0) {
			continue // NUD_NOARP marks the kernel's own entries for multicast and broadcast
		}
		entry := entryOf(n)
		have[key(entry)] = entry
		if _, ok := want[key(entry)]; !ok {
			m.done.add(entry.kind(family), entry.String())
			n.LinkIndex = index
			if err := netlink.NeighDel(&n); err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, fmt.Errorf("remove neighbour %s: %w", n.HardwareAddr, err))
			}
		}
	}
	for k, entry := range want {
		if have[k] == entry {
			continue
		}
		m.done.add(entry.kind(family), entry.String())
		n := netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT, IP: entry.addr.AsSlice(), HardwareAddr: net.HardwareAddr(entry.mac)}
		if family == unix.AF_BRIDGE {
			n.Family, n.Flags = unix.AF_BRIDGE, netlink.NTF_SELF
		}
		if err := netlink.NeighSet(&n); err != nil {
			errs = append(errs, fmt.Errorf("set neighbour %s: %w", n.HardwareAddr, err))
		}
	}
	return errors.Join(errs...)
}

// entryOf returns an entry without its MAC address if the kernel learned that, so that the
// entry is replaced.
func entryOf(n netlink.Neigh) neighbour {
	addr, _ := netip.AddrFromSlice(n.IP)
	if n.Family != unix.AF_BRIDGE && n.State&netlink.NUD_PERMANENT == 0 {
		return neighbour{addr: addr.Unmap()}
	}
	return neighbour{addr.Unmap(), string(n.HardwareAddr)}
}

// setGateways gives a container the MAC addresses of its gateways, for good. Otherwise it had to ask
// for them by ARP, and a host with net.ipv4.conf.all.arp_ignore above 0 does not answer: the address
// is not one of the container's own interface. Load balancers need that setting.
func setGateways(link netlink.Link, e Endpoint) error {
	gateways := []netip.Addr{Gateway4}
	if e.Addr6.IsValid() {
		gateways = append(gateways, Gateway6)
	}
	for _, gateway := range gateways {
		n := netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: gateway.AsSlice(), HardwareAddr: hostSideMAC(e.Addr4)}
		if err := netlink.NeighSet(&n); err != nil {
			return fmt.Errorf("give the container the MAC address of %s: %w", gateway, err)
		}
	}
	return nil
}
