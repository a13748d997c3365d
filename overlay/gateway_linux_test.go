package overlay

import (
	"fmt"
	"testing"
)

// Hosts that are load balancers do not answer ARP for addresses of other interfaces. Their containers
// reach the gateway all the same, and with it names and every other container.
func TestContainersReachTheirGatewayWhateverTheHostAnswers(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	h.keep()
	listen(t, h.ns, at(Gateway4, 53))
	for i, ignore := range []string{"0", "1", "2", "8"} {
		enter(t, h.ns, func() { must(t, setSysctl("ipv4/conf/all/arp_ignore", ignore)) })
		e := h.endpoint(5 + i)
		box, path := sandbox(t)
		e.Sandbox = path
		h.attach(e)
		h.populate(e, box)
		runIn(t, box, "ip route add 169.254.1.1 dev eth0 scope link && ip route add default via 169.254.1.1")
		waitFor(t, fmt.Sprintf("with arp_ignore=%s, the container had IPv6", ignore), func() bool { return has6(t, box, e) })
		waitFor(t, fmt.Sprintf("with arp_ignore=%s, the container knew its gateway", ignore), func() bool {
			return len(runIn(t, box, "ip neigh show 169.254.1.1 nud permanent")) > 0
		})
		reaches(t, box, "tcp4", at(Gateway4, 53), e.Addr4.String())
	}
}
