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

// forgetPublished ends the tracked connections that entered by the ports of the
// given new publications and go to none of the port's targets now. A client that
// never pauses, as with UDP, would reach the old target for ever. What TCP has
// established stays: its target may be finishing its work.
func forgetPublished(come, now contents) error {
	changed := come.entries()
	if len(changed) == 0 {
		return nil
	}
	all := now.entries()
	return forget(func(flow *netlink.ConntrackFlow) bool {
		entered, answers := addrOf(flow.Forward.DstIP), addrOf(flow.Reverse.SrcIP)
		if entered == answers || !answers.IsValid() || established(flow) {
			return false // not translated, or not to be cut
		}
		at, anywhere := entryOf(flow, entered)
		target := addrField(answers) + portField(flow.Reverse.SrcPort)
		if all[at] != nil {
			return changed[at] != nil && !all[at][target]
		}
		return changed[anywhere] != nil && !all[anywhere][target]
	})
}

// entryOf gives the keys, as contents.entries has them, of the publications by
// which a flow may have entered: of that address, and of every address.
func entryOf(flow *netlink.ConntrackFlow, entered netip.Addr) (at, anywhere string) {
	key := string([]byte{flow.Forward.Protocol, 0, 0, 0}) + portField(flow.Forward.DstPort)
	return family("at", entered) + addrField(entered) + key, family("any", entered) + key
}

const (
	protoTCP   = 6
	tcpSynSent = 1 // enum tcp_conntrack
)

func established(flow *netlink.ConntrackFlow) bool {
	tcp, ok := flow.ProtoInfo.(*netlink.ProtoInfoTCP)
	return flow.Forward.Protocol == protoTCP && ok && tcp.State > tcpSynSent
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
