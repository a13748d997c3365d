package linker

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// defaultUnderlay is the address from which this host reaches others by its
// default route; on a machine without one, the first global address. It is the
// zero Addr where there is none.
func defaultUnderlay() netip.Addr {
	if routes, err := netlink.RouteGet(net.IPv4(192, 0, 2, 1)); err == nil { // an address of documentation: nothing is sent
		for _, r := range routes {
			if a, ok := netip.AddrFromSlice(r.Src); ok {
				return a.Unmap()
			}
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr()
		}
	}
	return netip.Addr{}
}
