package linker

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// defaultUnderlay returns the address from which packets leave by the default route or,
// without such a route, the machine's first global IPv4 address. It returns the zero Addr
// if there is neither.
func defaultUnderlay() netip.Addr {
	if routes, err := netlink.RouteGet(net.IPv4(192, 0, 2, 1)); err == nil { // an address for documentation (RFC 5737); nothing is sent
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
