package overlay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// setAddresses gives the host's overlay addresses and Gateway4 to the VXLAN device, and
// Gateway6 to every veth.
func (m *match) setAddresses() error {
	list, err := dumpAddrs()
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	have := map[int][]netip.Prefix{}
	for _, a := range list {
		have[a.LinkIndex] = append(have[a.LinkIndex], prefixOf(a.IPNet))
	}
	onDevice := have[m.device.Attrs().Index]
	errs := []error{m.removeAddresses(m.device, onDevice, m.deviceAddresses()), m.addDeviceAddresses(onDevice)}
	gateway := netip.PrefixFrom(Gateway6, 64)
	for _, e := range m.c.Endpoints {
		link := m.found[HostSide(e.ID)]
		if link == nil {
			continue
		}
		onVeth := have[link.Attrs().Index]
		errs = append(errs, m.removeAddresses(link, onVeth, []netip.Prefix{gateway}))
		if e.Addr6.IsValid() && m.c.Pool6.IsValid() && !slices.Contains(onVeth, gateway) {
			m.done.add(KindAddress, gateway.String()+" on "+link.Attrs().Name)
			errs = append(errs, addGateway6(link))
		}
	}
	return errors.Join(errs...)
}

// removeAddresses removes addresses that another program has given to an interface of ours: the
// kernel would answer there.
func (m *match) removeAddresses(link netlink.Link, have, want []netip.Prefix) error {
	var errs []error
	for _, p := range have {
		if slices.Contains(want, p) {
			continue
		}
		m.done.add(KindAddress, p.String()+" on "+link.Attrs().Name)
		if err := netlink.AddrDel(link, &netlink.Addr{IPNet: ipNet(p)}); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("remove %s from %s: %w", p, link.Attrs().Name, err))
		}
	}
	return errors.Join(errs...)
}

func (m *match) deviceAddresses() []netip.Prefix {
	want := []netip.Prefix{hostPrefix(m.c.Self.Overlay4), hostPrefix(Gateway4)}
	if m.c.Pool6.IsValid() {
		want = append(want, hostPrefix(m.c.Self.Overlay6))
	}
	return want
}

func (m *match) addDeviceAddresses(have []netip.Prefix) error {
	var errs []error
	for _, p := range m.deviceAddresses() {
		if slices.Contains(have, p) {
			continue
		}
		m.done.add(KindAddress, p.String()+" on "+Device)
		addr := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD // no other device on the tunnel can have it
		}
		if p.Addr() == Gateway4 {
			addr.Scope = unix.RT_SCOPE_LINK // so that the host's own traffic never has it as its source
		}
		if err := netlink.AddrReplace(m.device, addr); err != nil {
			errs = append(errs, fmt.Errorf("give %s to %s: %w", p, Device, err))
		}
	}
	return errors.Join(errs...)
}

// hostPrefix returns the prefix that contains only addr.
func hostPrefix(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// prefixOf returns the zero Prefix for nil.
func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	addr, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones)
}
