package overlay

import (
	"fmt"
	"net/netip"
)

// allow returns a group of one sender and one receiver. No ports means every port and protocol.
func allow(from, to netip.Addr, ports ...HostPort) Group {
	return Group{Name: fmt.Sprint(from, to, ports), From: []netip.Addr{from}, To: []netip.Addr{to}, Ports: ports}
}
