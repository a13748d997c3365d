package overlay

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// setIPv6 switches IPv6 on, because Docker switches it off in every sandbox, and adds the
// address and the default route.
func setIPv6(link netlink.Link, e Endpoint) error {
	for _, name := range []string{"lo", link.Attrs().Name} {
		if err := setSysctl("ipv6/conf/"+name+"/disable_ipv6", "0"); err != nil {
			return err
		}
	}
	addr := &netlink.Addr{IPNet: ipNet(hostPrefix(e.Addr6)), Flags: unix.IFA_F_NODAD} // no other host can have it
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("give %s to the container: %w", e.Addr6, err)
	}
	index, gateway := link.Attrs().Index, net.IP(Gateway6.AsSlice())
	for _, r := range []*netlink.Route{
		{LinkIndex: index, Dst: ipNet(hostPrefix(Gateway6)), Scope: netlink.SCOPE_LINK},
		{LinkIndex: index, Dst: &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}, Gw: gateway},
	} {
		if err := netlink.RouteReplace(r); err != nil {
			return fmt.Errorf("route %s in the container: %w", r.Dst, err)
		}
	}
	return nil
}
