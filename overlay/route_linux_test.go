package overlay

import (
	"net/netip"
	"strings"
	"testing"
)

// A Config that would divert traffic of the host outside of the pools is not valid.
func TestPeersMustBeInThePools(t *testing.T) {
	for name, change := range map[string]func(*Peer){
		"another pool":       func(p *Peer) { p.Block4 = netip.MustParsePrefix("198.18.0.0/24") },
		"more than the pool": func(p *Peer) { p.Block4 = netip.MustParsePrefix("100.0.0.0/8") },
		"everything":         func(p *Peer) { p.Block4 = netip.MustParsePrefix("0.0.0.0/0") },
		"another IPv6 pool":  func(p *Peer) { p.Block6 = netip.MustParsePrefix("2001:db8::/80") },
	} {
		t.Run(name, func(t *testing.T) {
			c := goldenConfig()
			change(&c.Peers[0])
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "of h2 is not in pool") {
				t.Errorf("Validate = %v, want an error that names the block of h2", err)
			}
		})
	}
	if err := goldenConfig().Validate(); err != nil {
		t.Errorf("Validate of the unchanged Config = %v", err)
	}
}

// A route of another program within the pool stays, for example that of a VPN.
func TestOthersRoutesStay(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	h := l.hosts[0]
	h.set()
	h.config.Peers = nil
	h.set()
	const theirs4, theirs6 = "100.64.2.0/24 dev eth0 proto static", "fd42:1:2:0:2::/80 dev eth0 proto static"
	runIn(t, h.ns, "ip route add "+theirs4+"; ip -6 route add "+theirs6)
	h.config.Peers = []Peer{l.hosts[1].Peer}
	for range 2 {
		err := h.overlay.Set(t.Context(), h.config)
		for _, want := range []string{"route 100.64.2.0/24: this host has another", "route fd42:1:2:0:2::/80: "} { // for IPv6 the kernel says that the gateway is on another device
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Set = %v, want an error with %q", err, want)
			}
		}
	}
	e := h.endpoint(5)
	runIn(t, h.ns, "ip route add "+e.Addr4.String()+" dev eth0 proto static")
	if _, err := h.overlay.Attach(t.Context(), e); err == nil || !strings.Contains(err.Error(), "this host has another route") {
		t.Errorf("Attach = %v, want an error about the other route", err)
	}
	routes := string(runIn(t, h.ns, "ip route; ip -6 route"))
	for _, want := range []string{theirs4, theirs6, e.Addr4.String() + " dev eth0 proto static"} {
		if !strings.Contains(routes, want) {
			t.Errorf("the route %q was removed: %s", want, routes)
		}
	}
	runIn(t, h.ns, "ip route del "+theirs4+"; ip -6 route del "+theirs6)
	h.set() // now that the other routes are gone
	if routes := string(runIn(t, h.ns, "ip route")); !strings.Contains(routes, "100.64.2.0/24 via 100.64.2.1 dev "+Device) {
		t.Errorf("there is no route to the peer: %s", routes)
	}
}
