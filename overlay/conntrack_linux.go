package overlay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Connections that policy no longer grants live on: a linker that comes back with
// half a catalog must cut nothing. Two kinds are forgotten, for they would lead
// newcomers astray: those of an address that was detached, and those of a
// published port that now leads elsewhere.

// forgetAddr ends the tracked connections of a detached endpoint: its addresses
// will belong to another.
func forgetAddr(e Endpoint) error {
	return forget(func(flow *netlink.ConntrackFlow) bool {
		for _, ip := range []net.IP{flow.Forward.SrcIP, flow.Forward.DstIP, flow.Reverse.SrcIP} {
			if a := addrOf(ip); a == e.Addr4 || a == e.Addr6 {
				return true
			}
		}
		return false
	})
}

// forgetPublished ends the tracked connections that entered by the given new
// publications' ports and go elsewhere. A client that never pauses, as with UDP,
// would reach the old target for ever.
func forgetPublished(come contents) error {
	targets := map[string]string{} // protocol and port of the host, per family -> target
	for set, members := range come {
		for key, target := range members {
			switch set {
			case "publish_any4", "publish_any6":
				targets[set[len(set)-1:]+key] = target
			case "publish_at4":
				targets["4"+key[4:]] = target
			case "publish_at6":
				targets["6"+key[16:]] = target
			}
		}
	}
	if len(targets) == 0 {
		return nil
	}
	return forget(func(flow *netlink.ConntrackFlow) bool {
		entered, answers := addrOf(flow.Forward.DstIP), addrOf(flow.Reverse.SrcIP)
		if entered == answers || !answers.IsValid() {
			return false // not translated
		}
		port := portField(flow.Forward.DstPort)
		proto := string([]byte{flow.Forward.Protocol, 0, 0, 0})
		target, ok := targets[family("", entered)+proto+port]
		return ok && target != addrField(answers)+portField(flow.Reverse.SrcPort)
	})
}

type flowFilter func(flow *netlink.ConntrackFlow) bool

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f flowFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool { return f(flow) }

func forget(match flowFilter) error {
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, match)
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return fmt.Errorf("forget connections: %w", err)
		}
	}
	return nil
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
