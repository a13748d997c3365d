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

// A permission that is missing ends no connection, because a restarted linker begins with an
// incomplete catalog and must not interrupt traffic. One that was taken back does (see
// Revocation). Two other kinds of tracked connections are deleted, because they would lead
// packets to the wrong container: those of an address that is attached or detached, and those
// of a published port that now leads elsewhere.

// deleteConnectionsOf deletes the tracked connections of an endpoint's addresses. `docker stop`
// waits for it. A dump of the connections locks every bucket of the machine's table, which
// takes tens of milliseconds even if there are few, so it is the last resort.
func deleteConnectionsOf(e Endpoint) error {
	return errors.Join(deleteConnectionsTo(e.Addr4), deleteConnectionsTo(e.Addr6))
}

// deleteConnectionsTo deletes the tracked connections of one address. The zero Addr has none.
func deleteConnectionsTo(a netip.Addr) error {
	switch {
	case a.Is4():
		err := deleteByFilter4(a)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			err = deleteByDump(a)
		}
		return err
	case a.IsValid() && mayTrack(a):
		return deleteByDump(a)
	}
	return nil
}

// deleteByDump deletes the connections from an address, to it, and those that were translated
// to it. It finds them in a dump.
func deleteByDump(a netip.Addr) error {
	return deleteConnections(inetFamily(a), func(flow *netlink.ConntrackFlow) bool {
		return addrOf(flow.Forward.SrcIP) == a || addrOf(flow.Forward.DstIP) == a || addrOf(flow.Reverse.SrcIP) == a
	})
}

// mayTrack returns false if certainly no connection of the address is tracked. The kernel
// lists the connections in /proc without locking its table.
func mayTrack(a netip.Addr) bool {
	f, err := os.Open("/proc/thread-self/net/nf_conntrack")
	if err != nil {
		return true // some kernels are built without this file
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

// From linux/netfilter/nfnetlink_conntrack.h and net/netfilter/nf_conntrack_netlink.c.
const (
	ctaFilter           = 25     // CTA_FILTER
	ctaFilterOrigFlags  = 1      // CTA_FILTER_ORIG_FLAGS
	ctaFilterReplyFlags = 2      // CTA_FILTER_REPLY_FLAGS
	ctaFilterSource     = 1 << 0 // CTA_IP_SRC
	ctaFilterTarget     = 1 << 1 // CTA_IP_DST
)

// deleteByFilter4 deletes the same connections as deleteByDump, but the kernel finds them
// itself, without locking its table. Kernels before 6.8 reject the tuple as incomplete (EINVAL).
// There is no such function for IPv6: kernels up to at least 6.18 then delete all connections
// except those of the address.
func deleteByFilter4(a netip.Addr) error {
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
			return fmt.Errorf("delete tracked connections of %s: %w", a, err)
		}
	}
	return nil
}

func inetFamily(a netip.Addr) netlink.InetFamily {
	return netlink.InetFamily(nl.GetIPFamily(a.AsSlice()))
}

type flowFilter func(flow *netlink.ConntrackFlow) bool

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f flowFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool { return f(flow) }

// deleteConnections deletes the matching connections of one address family. It dumps the
// whole table of connections.
func deleteConnections(family netlink.InetFamily, match flowFilter) error {
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, match)
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("delete tracked connections: %w", err)
	}
	return nil
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
