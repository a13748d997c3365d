package overlay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Connections that policy no longer grants live on: a linker that comes back with
// half a catalog must cut nothing. Two kinds are forgotten, for they would lead
// newcomers astray: those of an address that was detached, and those of a
// published port that now leads elsewhere.

// forgetAddr ends the tracked connections of a detached endpoint: its addresses
// will belong to another. `docker stop` waits for it, and a dump of the connections
// takes tens of milliseconds even where there are few: it locks every bucket of the
// machine's table. So it is the last resort.
func forgetAddr(e Endpoint) error {
	var errs []error
	if e.Addr4.IsValid() {
		err := flushAddr4(e.Addr4)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			err = pickAddr(e.Addr4)
		}
		errs = append(errs, err)
	}
	if e.Addr6.IsValid() && mayTrack(e.Addr6) {
		errs = append(errs, pickAddr(e.Addr6))
	}
	return errors.Join(errs...)
}

// pickAddr finds the connections from the address, to it, and those that were
// translated to it, in a dump.
func pickAddr(a netip.Addr) error {
	return forget(inetFamily(a), func(flow *netlink.ConntrackFlow) bool {
		return addrOf(flow.Forward.SrcIP) == a || addrOf(flow.Forward.DstIP) == a || addrOf(flow.Reverse.SrcIP) == a
	})
}

// mayTrack reports whether a connection of the address is tracked, or whether that
// is unknown. The kernel goes through the table without locks for this.
func mayTrack(a netip.Addr) bool {
	f, err := os.Open("/proc/thread-self/net/nf_conntrack")
	if err != nil {
		return true // not every kernel has it
	}
	defer f.Close()
	needle := []byte("=" + a.StringExpanded() + " ")
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if bytes.Contains(lines.Bytes(), needle) {
			return true
		}
	}
	return lines.Err() != nil
}

// Of linux/netfilter/nfnetlink_conntrack.h and net/netfilter/nf_conntrack_netlink.c.
const (
	ctaFilter           = 25     // CTA_FILTER
	ctaFilterOrigFlags  = 1      // CTA_FILTER_ORIG_FLAGS
	ctaFilterReplyFlags = 2      // CTA_FILTER_REPLY_FLAGS
	ctaFilterSource     = 1 << 0 // CTA_IP_SRC
	ctaFilterTarget     = 1 << 1 // CTA_IP_DST
)

// flushAddr4 is pickAddr by the kernel itself, which goes through the table without
// locks for it. Kernels before 6.8 take the tuple for an incomplete one: EINVAL. For
// IPv6 none can be trusted: up to 6.18 at least, they end all connections but those.
func flushAddr4(a netip.Addr) error {
	for _, match := range []struct{ tuple, field, flags, flag int }{
		{nl.CTA_TUPLE_ORIG, nl.CTA_IP_V4_SRC, ctaFilterOrigFlags, ctaFilterSource},
		{nl.CTA_TUPLE_ORIG, nl.CTA_IP_V4_DST, ctaFilterOrigFlags, ctaFilterTarget},
		{nl.CTA_TUPLE_REPLY, nl.CTA_IP_V4_SRC, ctaFilterReplyFlags, ctaFilterSource},
	} {
		tuple := nl.NewRtAttr(unix.NLA_F_NESTED|match.tuple, nil)
		tuple.AddRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_IP, nil).AddRtAttr(match.field, a.AsSlice())
		filter := nl.NewRtAttr(unix.NLA_F_NESTED|ctaFilter, nil)
		filter.AddRtAttr(match.flags, nl.Uint32Attr(uint32(match.flag)))
		req := nl.NewNetlinkRequest(int(netlink.ConntrackTable)<<8|nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK)
		req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_INET, Version: nl.NFNETLINK_V0})
		req.AddData(tuple)
		req.AddData(filter)
		if _, err := req.Execute(unix.NETLINK_NETFILTER, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("forget connections of %s: %w", a, err)
		}
	}
	return nil
}

func inetFamily(a netip.Addr) netlink.InetFamily {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
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
	stale := func(flow *netlink.ConntrackFlow) bool {
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
	}
	var errs []error
	for suffix, family := range map[string]netlink.InetFamily{"4": unix.AF_INET, "6": unix.AF_INET6} {
		if come.publishes(suffix) {
			errs = append(errs, forget(family, stale))
		}
	}
	return errors.Join(errs...)
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

// forget ends the connections of one family that match. It dumps the whole table.
func forget(family netlink.InetFamily, match flowFilter) error {
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, match)
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("forget connections: %w", err)
	}
	return nil
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
