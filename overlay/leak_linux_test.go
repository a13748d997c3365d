package overlay

import (
	"strings"
	"testing"
)

// While another program has removed the routes, packets for the pool do not leave by the default
// route: the network around the host could read and answer them.
func TestPoolTrafficDoesNotLeaveByTheDefaultRoute(t *testing.T) {
	t.Parallel()
	a, _, box, target, l := pair(t)
	runIn(t, l.outside, `nft 'table inet seen { counter pool { }; counter other { };
		chain prerouting { type filter hook prerouting priority raw;
			ip daddr 100.64.0.0/10 counter name pool; ip daddr 169.254.0.0/16 counter name pool; ip daddr 198.18.0.100 counter name other; }; }'`)
	seen := func(counter string) string { return string(runIn(t, l.outside, "nft list counter inet seen "+counter)) }
	reaches(t, box, "tcp", at(target.Addr4, 80), a.endpoint(5).Addr4.String()) // now it knows its gateway's MAC address
	runIn(t, a.ns, "ip route flush proto 84; ip addr flush dev tombolo0; ip route add "+a.endpoint(5).Addr4.String()+" dev "+HostSide(a.endpoint(5).ID))
	for _, addr := range []string{at(target.Addr4, 80), at(Gateway4, 53)} {
		for _, network := range []string{"udp", "tcp"} {
			cannotReach(t, box, network, addr)
		}
	}
	cannotReach(t, box, "udp", at(outsideAddr, 9)) // nobody listens there, but this may leave
	if got := seen("other"); strings.Contains(got, "packets 0 ") {
		t.Errorf("nothing of the container left the host: %s", got)
	}
	if got := seen("pool"); !strings.Contains(got, "packets 0 ") {
		t.Errorf("packets for the pool left by the default route: %s", got)
	}
}
