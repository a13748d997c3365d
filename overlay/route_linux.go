package overlay

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeProtocol marks our routes (rtm_protocol). iproute2's rt_protos does not use it.
const routeProtocol = 84

// route is one of our routes in the main table. Routes can be compared with ==.
type route struct {
	dst         netip.Prefix
	via, src    netip.Addr
	device      int
	mtu         int // of the path; 0: the device's
	unreachable bool
}

func (r route) netlink() *netlink.Route {
	out := &netlink.Route{Dst: ipNet(r.dst), LinkIndex: r.device, Protocol: routeProtocol, MTU: r.mtu}
	// The kernel applies an MTU to packets that it forwards only if it is locked: IPv6 in
	// general, IPv4 before Linux 5.11. For others it sends ICMP "fragmentation needed" or
	// "packet too big" to the container.
	out.MTULock = r.mtu != 0
	switch {
	case r.unreachable:
		out.Type = unix.RTN_UNREACHABLE
	case r.via.IsValid():
		out.Gw, out.Flags = r.via.AsSlice(), int(netlink.FLAG_ONLINK)
	default:
		out.Scope = netlink.SCOPE_LINK
	}
	if r.src.IsValid() {
		out.Src = r.src.AsSlice()
	}
	return out
}

// wantedRoutes returns routes from the peers' blocks to the peers and from the endpoints'
// addresses to their veths. The rest of the pool is unreachable, because otherwise packets to
// unassigned addresses would leave by the default gateway. The host's own packets to service
// addresses need a route and a source before the nft table translates them; where that
// route leads does not matter, because the table refuses what it does not translate.
func wantedRoutes(c Config, device netlink.Link, found veths) map[netip.Prefix]route {
	want := map[netip.Prefix]route{}
	add := func(r route) { want[r.dst] = r }
	add(route{dst: c.Pool4.Masked(), unreachable: true})
	if c.Pool6.IsValid() {
		add(route{dst: c.Pool6.Masked(), unreachable: true})
	}
	index := device.Attrs().Index
	if c.ServicePool4.IsValid() {
		add(route{dst: c.ServicePool4.Masked(), src: c.Self.Overlay4, device: index})
	}
	if c.ServicePool6.IsValid() {
		add(route{dst: c.ServicePool6.Masked(), src: c.Self.Overlay6, device: index})
	}
	for _, p := range c.Peers {
		mtu := p.MTU
		if mtu >= device.Attrs().MTU {
			mtu = 0
		}
		if p.Block4.IsValid() && p.Overlay4.IsValid() {
			add(route{dst: p.Block4.Masked(), via: p.Overlay4, src: c.Self.Overlay4, device: index, mtu: mtu})
		}
		if c.Pool6.IsValid() && p.Block6.IsValid() && p.Overlay6.IsValid() {
			add(route{dst: p.Block6.Masked(), via: p.Overlay6, src: c.Self.Overlay6, device: index, mtu: mtu})
		}
	}
	for _, e := range c.Endpoints {
		if link := found[HostSide(e.ID)]; link != nil {
			for _, r := range endpointRoutes(e, c, link) {
				add(r)
			}
		}
	}
	return want
}

func endpointRoutes(e Endpoint, c Config, link netlink.Link) []route {
	routes := []route{{dst: hostPrefix(e.Addr4), src: c.Self.Overlay4, device: link.Attrs().Index}}
	if e.Addr6.IsValid() && c.Pool6.IsValid() {
		routes = append(routes, route{dst: hostPrefix(e.Addr6), src: c.Self.Overlay6, device: link.Attrs().Index})
	}
	return routes
}

// listRoutes returns the routes that are ours, by destination.
func listRoutes() (map[netip.Prefix]route, error) {
	have := map[netip.Prefix]route{}
	list, err := dumpRoutes(netlink.FAMILY_ALL, netlink.Route{Protocol: routeProtocol}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, l := range list {
		r := route{dst: prefixOf(l.Dst), device: l.LinkIndex, mtu: l.MTU, unreachable: l.Type == unix.RTN_UNREACHABLE}
		r.via, _ = netip.AddrFromSlice(l.Gw)
		r.src, _ = netip.AddrFromSlice(l.Src)
		r.via, r.src = r.via.Unmap(), r.src.Unmap()
		if r.unreachable {
			r.device = 0 // the kernel gives unreachable IPv6 routes the device lo
		}
		have[r.dst] = r
	}
	return have, nil
}

func (m *match) setRoutes() error {
	have, err := listRoutes()
	if err != nil {
		return err
	}
	want := wantedRoutes(m.c, m.device, m.found)
	var errs []error
	for dst, r := range have {
		if _, ok := want[dst]; !ok {
			m.done.add(KindRoute, dst.String())
			errs = append(errs, removeRoute(r))
		}
	}
	for dst, r := range want {
		if have[dst] != r {
			m.done.add(KindRoute, dst.String())
			errs = append(errs, putRoute(r))
		}
	}
	return errors.Join(errs...)
}

// putRoute adds r or replaces our route to the same destination. It does not replace a route
// that is not ours, because the host's own traffic may use it, but returns an error.
func putRoute(r route) error {
	err := netlink.RouteAdd(r.netlink())
	if errors.Is(err, unix.EEXIST) {
		var have map[netip.Prefix]route
		if have, err = listRoutes(); err != nil {
			return err
		}
		if _, ours := have[r.dst]; !ours {
			return fmt.Errorf("route %s: this host has another route to it", r.dst)
		}
		err = netlink.RouteReplace(r.netlink())
	}
	if err != nil {
		return fmt.Errorf("route %s: %w", r.dst, err)
	}
	return nil
}

func removeRoute(r route) error {
	err := netlink.RouteDel(r.netlink())
	if err == nil || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return fmt.Errorf("remove route %s: %w", r.dst, err)
}

// removeRoutes removes every route that is ours.
func removeRoutes() error {
	have, err := listRoutes()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range have {
		errs = append(errs, removeRoute(r))
	}
	return errors.Join(errs...)
}
