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
func setAddresses(c Config, device netlink.Link, found veths) error {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	have := map[int][]netip.Prefix{}
	for _, a := range list {
		have[a.LinkIndex] = append(have[a.LinkIndex], prefixOf(a.IPNet))
	}
	errs := []error{setDeviceAddresses(c, device, have[device.Attrs().Index])}
	gateway := netip.PrefixFrom(Gateway6, 64)
	for _, link := range found {
		if c.Pool6.IsValid() && !slices.Contains(have[link.Attrs().Index], gateway) {
			errs = append(errs, addGateway6(link))
		}
	}
	return errors.Join(errs...)
}

func setDeviceAddresses(c Config, device netlink.Link, have []netip.Prefix) error {
	want := []netip.Prefix{hostPrefix(c.Self.Overlay4), hostPrefix(Gateway4)}
	if c.Pool6.IsValid() {
		want = append(want, hostPrefix(c.Self.Overlay6))
		if err := setSysctl("ipv6/conf/"+Device+"/disable_ipv6", "0"); err != nil {
			return err
		}
	}
	var errs []error
	for _, p := range have {
		if !slices.Contains(want, p) && !p.Addr().IsLinkLocalUnicast() {
			errs = append(errs, netlink.AddrDel(device, &netlink.Addr{IPNet: ipNet(p)}))
		}
	}
	for _, p := range want {
		if slices.Contains(have, p) {
			continue
		}
		addr := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD // no other device on the tunnel can have it
		}
		if p.Addr() == Gateway4 {
			addr.Scope = unix.RT_SCOPE_LINK // so that the host's own traffic never has it as its source
		}
		if err := netlink.AddrReplace(device, addr); err != nil {
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
