package overlay

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// CheckPool returns a *PoolOverlapError for the first route of this host that overlaps one of
// the pools: an overlay there would capture the route's traffic, or lose its own to the route.
// It checks all routing tables, because VPNs have tables of their own, but skips default routes,
// the routes of an Overlay, and pools that are the zero value.
func CheckPool(pools ...netip.Prefix) error {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		dst := prefixOf(r.Dst)
		// VPNs often write a default route as two halves, 0.0.0.0/1 and 128.0.0.0/1.
		if dst.Bits() <= 1 || r.Protocol == routeProtocol {
			continue
		}
		for _, pool := range pools {
			if !pool.IsValid() || !pool.Overlaps(dst) {
				continue
			}
			if name := deviceName(r.LinkIndex); name != Device && !vethName.MatchString(name) {
				return &PoolOverlapError{Pool: pool, Route: dst, Device: name, Table: r.Table}
			}
		}
	}
	return nil
}

func deviceName(index int) string {
	link, err := netlink.LinkByIndex(index)
	if index == 0 || err != nil {
		return ""
	}
	return link.Attrs().Name
}
