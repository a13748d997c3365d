package overlay

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Each way to delete the connections of an address deletes these and no others.
func TestOnlyConnectionsOfTheAddressAreDeleted(t *testing.T) {
	ip := netip.MustParseAddr
	for _, tt := range []struct {
		name                       string
		remove                     func(netip.Addr) error
		gone, other, outside, self netip.Addr
	}{
		{"in the kernel", deleteByFilter4, ip("100.64.1.5"), ip("100.64.1.6"), ip("198.18.0.100"), ip("198.18.0.11")},
		{"by a dump", deleteByDump, ip("100.64.1.5"), ip("100.64.1.6"), ip("198.18.0.100"), ip("198.18.0.11")},
		{"by a dump, IPv6", deleteByDump, ip("fd42:1:2:0:1::5"), ip("fd42:1:2:0:1::6"), ip("2001:db8::100"), ip("2001:db8::11")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			enter(t, newNamespace(t), func() {
				track(t, 1, tt.gone, tt.outside, tt.outside, tt.self) // masqueraded egress
				track(t, 2, tt.other, tt.gone, tt.gone, tt.other)     // from another container
				track(t, 3, tt.outside, tt.self, tt.gone, tt.outside) // by a published port
				track(t, 4, tt.other, tt.outside, tt.outside, tt.self)
				track(t, 5, tt.outside, tt.self, tt.other, tt.outside)
				if !mayTrack(tt.gone) || mayTrack(ip("100.64.1.50")) || mayTrack(ip("fd42:1:2:0:1::50")) {
					t.Error("mayTrack does not understand the kernel's list of connections")
				}
				must(t, tt.remove(tt.gone))
				if diff := cmp.Diff([]uint16{4, 5}, tracked(t, tt.gone)); diff != "" {
					t.Errorf("source ports of the remaining connections (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// track creates a connection with the addresses of its packets (from, to) and of the answers
// (answers, back).
func track(t *testing.T, port uint16, from, to, answers, back netip.Addr) {
	t.Helper()
	ip := func(a netip.Addr) net.IP { return a.AsSlice() }
	must(t, netlink.ConntrackCreate(netlink.ConntrackTable, inetFamily(from), &netlink.ConntrackFlow{
		FamilyType: uint8(inetFamily(from)), TimeOut: 100,
		Forward: netlink.IPTuple{Protocol: unix.IPPROTO_UDP, SrcIP: ip(from), DstIP: ip(to), SrcPort: port, DstPort: 53},
		Reverse: netlink.IPTuple{Protocol: unix.IPPROTO_UDP, SrcIP: ip(answers), DstIP: ip(back), SrcPort: 53, DstPort: port},
	}))
}

// tracked returns the sorted source ports of all connections in a's address family.
func tracked(t *testing.T, a netip.Addr) (ports []uint16) {
	t.Helper()
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, inetFamily(a))
	must(t, err)
	for _, f := range flows {
		ports = append(ports, f.Forward.SrcPort)
	}
	slices.Sort(ports)
	return ports
}
