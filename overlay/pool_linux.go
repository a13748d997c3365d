package overlay

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// CheckPool reports the first route of this host that overlaps one of the pools,
// as a *PoolOverlapError: an overlay there would take the route's traffic, or
// never get its own. Every routing table counts, for VPNs keep tables of their
// own; default routes and what an Overlay made do not. Unset pools are skipped.
func CheckPool(pools ...netip.Prefix) error {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		dst := prefixOf(r.Dst)
		// Two halves of everything are a default route too, as VPNs write it.
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
