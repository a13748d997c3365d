package linker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/ipam"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// An address is worth what its host is permitted to give: each one outside of the host's
// own block is left out and named.
func TestAddressesOutsideOfTheHostsBlockAreLeftOut(t *testing.T) {
	pool6 := netip.MustParsePrefix("fd00:1:2::/48")
	own, other := hostWith("h1", "100.64.1.0/24", day), hostWith("h2", "100.64.2.0/24", day)
	for _, h := range []*record.Host{own, other} {
		h.Block6 = ipam.Nth(pool6, 80, uint32(h.Block4.Addr().As4()[2]))
	}
	old := hostWith("h3", "100.64.3.0/24", day) // has no IPv6 block
	old.Overlay6 = netip.MustParseAddr("fd00:1:2:0:1::5")
	thief := hostWith("h4", "100.64.4.0/24", day)
	thief.Block6, thief.Overlay6 = own.Block6, ipam.HostAddr(own.Block6)
	s := snapshotOf(own, other, old, thief)
	p, err := peers(s, own, DefaultPool4, pool6)
	if err == nil || !strings.Contains(err.Error(), "h4 uses another pool: it announces the IPv6 block fd00:1:2:0:1::/80, but fd00:1:2:0:4::/80 belongs to its block 100.64.4.0/24") {
		t.Errorf("peers returned the error %v, want one that says which IPv6 block is h4's", err)
	}
	for _, host := range p[1:] {
		if host.Block6.IsValid() || host.Overlay6.IsValid() {
			t.Errorf("%s has the IPv6 block %s and the address %s, want neither: they are not its own", host.Name, host.Block6, host.Overlay6)
		}
	}
	tests := map[string]struct{ host, addr4, addr6, want string }{
		"of its host":                   {"h2", "100.64.2.9", "fd00:1:2:0:2::9", "100.64.2.9 fd00:1:2:0:2::9"},
		"of another host":               {"h2", "100.64.3.9", "", ""},
		"of this host":                  {"h2", "100.64.1.9", "", ""},
		"outside of the pool":           {"h2", "192.0.2.1", "", ""},
		"IPv6 of this host":             {"h2", "100.64.2.9", "fd00:1:2:0:1::9", "100.64.2.9 -"},
		"IPv6 of a host without":        {"h3", "100.64.3.9", "fd00:1:2:0:3::9", "100.64.3.9 -"},
		"this host's own":               {"h1", "100.64.1.9", "fd00:1:2:0:1::9", "100.64.1.9 fd00:1:2:0:1::9"},
		"this host's own, of another's": {"h1", "100.64.2.9", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ep := &record.Endpoint{ID: "e", Host: tt.host, ContainerName: "web-1", Addr4: netip.MustParseAddr(tt.addr4)}
			if tt.addr6 != "" {
				ep.Addr6 = netip.MustParseAddr(tt.addr6)
			}
			s.Endpoints = map[string]*record.Endpoint{"e": ep}
			kept, misplaced := reachable(s, own, p)
			got := ""
			if e := kept.Endpoints["e"]; e != nil {
				got = strings.TrimSpace(e.Addr4.String() + " " + strings.Replace(e.Addr6.String(), "invalid IP", "-", 1))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("addresses of the endpoint (-want +got):\n%s", diff)
			}
			left := strings.Fields(tt.want)
			whole := len(left) == 2 && left[1] != "-"
			if whole != (misplaced == nil) || !whole && !strings.Contains(misplaced.Error(), "host "+tt.host+" announces container web-1 at ") {
				t.Errorf("reachable returned the error %v; want one that names the host and its container, unless all addresses are its own", misplaced)
			}
		})
	}
}

// attacker is a member of h's gossip that writes the records which a test gives it.
func attacker(t *testing.T, h *testHost) *catalog.Catalog {
	t.Helper()
	c := catalog.New("evil", uint64(time.Now().Add(time.Hour).Unix())) // its versions are newer than those of others
	g, err := gossip.New(gossip.Config{
		Name: "evil", Bind: netip.MustParseAddrPort("127.77.6.6:7980"), Seeds: []string{h.cfg.Underlay.String()},
	}, c)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("the attacker's gossip ended with %v", err)
		}
	})
	<-g.Ready()
	changes, stop := c.Watch()
	go func() {
		defer stop()
		for {
			for _, p := range c.DrainOutbox() {
				g.Broadcast(p.Key, p.Wire)
			}
			select {
			case <-t.Context().Done():
				return
			case <-changes:
			}
		}
	}()
	return c
}

// A host announces a container of the app shop at an address of another host's block,
// through gossip. That address gets no permission and no name, and the status names it.
func TestForgedAddressGetsNoPermission(t *testing.T) {
	h := newTestHost(t, 26)
	h.start(t)
	h.awaitBlock(t)
	h.run(t, "web", labels("web"))
	evil := attacker(t, h)
	block4 := netip.MustParsePrefix("100.64.200.0/24")
	put := func(r record.Record) {
		if _, err := evil.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	announce := func(id, addr string) {
		put(record.Record{Key: record.Key{Kind: record.KindEndpoint, Name: id}, Endpoint: &record.Endpoint{
			ID: id, Host: "evil", App: "shop", Service: id, ContainerName: id, Addr4: netip.MustParseAddr(addr),
			Networks: map[string][]string{"shop_default": nil}, Running: true, Health: record.HealthNone,
		}})
	}
	put(record.Record{Key: record.Key{Kind: record.KindHost, Name: "evil"}, Host: &record.Host{
		Name: "evil", Underlay: netip.MustParseAddr("127.77.6.6"), Block4: block4, Overlay4: ipam.HostAddr(block4), Hold: record.HoldSettled,
	}})
	announce("forged", "100.64.201.9")
	announce("honest", "100.64.200.9")
	var last overlay.Config
	permitted := func(addr string) bool {
		return slices.ContainsFunc(last.Groups, func(g overlay.Group) bool { return slices.Contains(g.From, netip.MustParseAddr(addr)) })
	}
	eventually(t, "the policy has the container at its own address", func() bool {
		last = <-h.plane.set
		h.plane.set <- last
		return permitted("100.64.200.9")
	})
	if permitted("100.64.201.9") {
		t.Errorf("the policy permits the forged address: %+v", last.Groups)
	}
	c := h.client(t)
	status, err := c.Status(t.Context())
	if want := "host evil announces service forged of app shop (container forged) at 100.64.201.9, which is outside of its block 100.64.200.0/24"; err != nil || !strings.Contains(fmt.Sprint(status.Problems), want) {
		t.Errorf("the status has the problems %q (%v), want one that says %q", status.Problems, err, want)
	}
	if r, err := c.Resolve(t.Context(), "forged", "web"); err != nil || len(r.Targets) > 0 {
		t.Errorf("the name of the forged container leads to %v (%v), want nowhere", r.Targets, err)
	}
	h.stop()
}

// A host announces an endpoint with the ID of a container of this host, in a newer version.
// The container keeps its name, its address and its permissions here and elsewhere.
func TestAnotherHostCannotReplaceAContainer(t *testing.T) {
	h, third := newTestHost(t, 27), newTestHost(t, 28)
	third.cfg.Join = []string{h.cfg.Underlay.String()}
	h.start(t)
	third.start(t)
	h.awaitBlock(t)
	third.awaitBlock(t)
	id := h.run(t, "web", labels("web"))
	third.run(t, "database", labels("db"))
	eventually(t, "web is announced", func() bool { return h.localEndpoint(id) != nil && h.localEndpoint(id).Running })
	addr := h.localEndpoint(id).Addr4
	evil := attacker(t, h)
	key := record.Key{Kind: record.KindEndpoint, Name: id}
	if _, err := evil.Put(record.Record{Key: key, Endpoint: &record.Endpoint{
		ID: id, Host: "evil", App: "evil", Running: true, Health: record.HealthNone,
	}}); err != nil {
		t.Fatal(err)
	}
	for _, host := range []*testHost{h, third} {
		eventually(t, host.cfg.Host+" has the forged record", func() bool {
			return host.catalog.Snapshot().Endpoints[record.EndpointKey("evil", id)] != nil
		})
		if e := host.catalog.Snapshot().Endpoints[record.EndpointKey("h27", id)]; e == nil || e.App != "shop" || e.Addr4 != addr {
			t.Errorf("%s has the container's record as %+v, want it unchanged at %s", host.cfg.Host, e, addr)
		}
	}
	if r, err := third.client(t).Resolve(t.Context(), "web", "database"); err != nil || len(r.Instances) != 1 || r.Instances[0].Addr4 != addr {
		t.Errorf("web leads to %+v (%v), want to its container at %s", r, err, addr)
	}
	h.stop()
	third.stop()
}
