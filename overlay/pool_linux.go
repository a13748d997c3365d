package overlay

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// CheckPool returns a *PoolOverlapError for the first route of this host that overlaps one of
// the pools: an overlay there would capture the route's traffic, or lose its own to the route.
// It checks all routing tables, because VPNs have tables of their own, but skips default routes
// that take nothing from the pools, the routes of an Overlay, and pools that are the zero value.
func CheckPool(pools ...netip.Prefix) error {
	routes, err := dumpRoutes(netlink.FAMILY_ALL, netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
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
				return &PoolOverlapError{Pool: pool, Route: dst, Device: name, Table: r.Table, Rule: ruleOf(r.Table, familyOf(pool))}
			}
		}
	}
	return checkCaptured(pools)
}

// sampled bounds the routes of ours that checkCaptured looks up.
const sampled = 8

// checkCaptured finds policy rules that lead packets for containers past our routes, to a default
// route of another table, as a VPN does that takes all traffic.
func checkCaptured(pools []netip.Prefix) error {
	ours, err := listRoutes()
	if err != nil {
		return err
	}
	looked := 0
	for dst, want := range ours {
		if want.unreachable || looked == sampled {
			continue
		}
		i := slices.IndexFunc(pools, func(pool netip.Prefix) bool { return pool.IsValid() && pool.Overlaps(dst) })
		if i < 0 {
			continue
		}
		looked++
		addr := dst.Addr()
		if !dst.IsSingleIP() {
			addr = addr.Next()
		}
		found, err := netlink.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
		if err != nil || len(found) == 0 || found[0].LinkIndex == want.device || found[0].Table == unix.RT_TABLE_LOCAL {
			continue // the route has just been removed, or it leads to this host itself
		}
		return &PoolOverlapError{
			Pool: pools[i], Route: routeDst(found[0], addr), Device: deviceName(found[0].LinkIndex), Table: found[0].Table,
			Rule: ruleOf(found[0].Table, familyOf(pools[i])),
		}
	}
	return nil
}

// routeDst returns the destination of a route to an address. That of a default route is unset.
func routeDst(r netlink.Route, addr netip.Addr) netip.Prefix {
	if dst := prefixOf(r.Dst); dst.IsValid() {
		return dst
	}
	if addr.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func familyOf(p netip.Prefix) int {
	if p.Addr().Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

// ruleOf returns the first policy rule that leads to a table, as `ip rule` shows it. It returns
// "" for the tables that every host has.
func ruleOf(table, family int) string {
	if table == unix.RT_TABLE_MAIN || table == unix.RT_TABLE_LOCAL || table == unix.RT_TABLE_DEFAULT {
		return ""
	}
	rules, err := dump(func() ([]netlink.Rule, error) { return netlink.RuleList(family) })
	if err != nil {
		return ""
	}
	for _, r := range rules {
		if r.Table == table {
			return ruleText(r)
		}
	}
	return ""
}

func ruleText(r netlink.Rule) string {
	text := strconv.Itoa(r.Priority) + ": "
	if r.Invert {
		text += "not "
	}
	text += "from " + textOf(r.Src)
	if r.Dst != nil {
		text += " to " + textOf(r.Dst)
	}
	if r.Mark != 0 {
		text += fmt.Sprintf(" fwmark %#x", r.Mark)
	}
	if r.IifName != "" {
		text += " iif " + r.IifName
	}
	return text + " lookup " + strconv.Itoa(r.Table)
}

func textOf(n *net.IPNet) string {
	if n == nil {
		return "all"
	}
	return n.String()
}

func deviceName(index int) string {
	link, err := netlink.LinkByIndex(index)
	if index == 0 || err != nil {
		return ""
	}
	return link.Attrs().Name
}
