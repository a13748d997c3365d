package inspect

import (
	"bytes"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// findRoute asks the kernel where it would forward a packet of the container. The kernel
// answers as for a packet that comes in at the interface, so a kernel that does not forward,
// or a routing rule for that interface, shows.
func findRoute(r Request) Route {
	routes, err := netlink.RouteGetWithOptions(r.To.AsSlice(), &netlink.RouteGetOptions{Iif: r.Interface, SrcAddr: r.From.AsSlice()})
	if err != nil {
		return Route{Error: err.Error()}
	}
	if len(routes) == 0 {
		return Route{Error: "the kernel names no route"}
	}
	route := routes[0]
	link, err := netlink.LinkByIndex(route.LinkIndex)
	if err != nil {
		return Route{Error: err.Error()}
	}
	out := Route{Device: link.Attrs().Name}
	gateway := route.Gw
	if route.Via != nil {
		if via, ok := route.Via.(*netlink.Via); ok {
			gateway = via.Addr
		}
	}
	if addr, ok := netip.AddrFromSlice(gateway); ok {
		out.Gateway = addr.Unmap()
	}
	if link.Type() == "vxlan" && out.Gateway.IsValid() {
		out.Neighbour, out.Peer = tunnelEnd(link.Attrs().Index, out.Gateway)
	}
	return out
}

// tunnelEnd returns the MAC address of a gateway behind a VXLAN device, and the host to which
// the device sends it.
func tunnelEnd(device int, gateway netip.Addr) (mac string, peer netip.Addr) {
	family := unix.AF_INET
	if gateway.Is6() {
		family = unix.AF_INET6
	}
	neighbours, err := netlink.NeighList(device, family)
	if err != nil {
		return "", netip.Addr{}
	}
	i := slices.IndexFunc(neighbours, func(n netlink.Neigh) bool { return n.IP.Equal(net.IP(gateway.AsSlice())) && len(n.HardwareAddr) > 0 })
	if i < 0 {
		return "", netip.Addr{}
	}
	at := neighbours[i].HardwareAddr
	entries, err := netlink.NeighList(device, unix.AF_BRIDGE)
	if err != nil {
		return at.String(), netip.Addr{}
	}
	for _, e := range entries {
		if bytes.Equal(e.HardwareAddr, at) {
			if addr, ok := netip.AddrFromSlice(e.IP); ok {
				return at.String(), addr.Unmap()
			}
		}
	}
	return at.String(), netip.Addr{}
}

// stateListen is TCP_LISTEN of the kernel's include/net/tcp_states.h.
const stateListen = 10

// listening lists the sockets of the thread's network namespace that accept connections or
// datagrams of anybody.
func listening() Sockets {
	out := Sockets{Listening: []Socket{}}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		tcp, err := netlink.SocketDiagTCP(family)
		if err != nil {
			return Sockets{Error: err.Error()}
		}
		udp, err := netlink.SocketDiagUDP(family)
		if err != nil {
			return Sockets{Error: err.Error()}
		}
		for _, s := range tcp {
			if s.State == stateListen {
				out.add("tcp", s)
			}
		}
		for _, s := range udp {
			if s.ID.DestinationPort == 0 { // a connected socket takes datagrams of one sender only
				out.add("udp", s)
			}
		}
	}
	return out
}

func (s *Sockets) add(proto string, found *netlink.Socket) {
	addr, ok := netip.AddrFromSlice(found.ID.Source)
	if !ok {
		return
	}
	if found.Family == unix.AF_INET { // netlink lengthens it
		addr = addr.Unmap()
	}
	s.Listening = append(s.Listening, Socket{proto, netip.AddrPortFrom(addr, found.ID.SourcePort)})
}
