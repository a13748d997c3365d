package linker

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/attach"
	"tombolo/linker/block"
	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/linker/vip"
	"tombolo/overlay"
)

var pool6 = netip.MustParsePrefix("fd42:1:2::/48")

func newBook(t *testing.T) *vip.Book {
	t.Helper()
	book, err := vip.Open(vip.Config{
		File:   filepath.Join(t.TempDir(), "services.json"),
		Range4: block.ServiceRange4(DefaultPool4), Range6: block.ServiceRange6(pool6), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// effectiveOf derives the effective catalog of a host with some endpoints and apps.
func effectiveOf(t *testing.T, s *record.Snapshot, pool6 netip.Prefix) *effectiveCatalog {
	t.Helper()
	e := &effectiveCatalog{Snapshot: s, Relation: reach.Of(s), self: hostWith("h1", "100.64.1.0/24", day), pool6: pool6, views: map[string]*record.View{}}
	e.services, e.unaddressed = assign(newBook(t), e.Services("h1"), pool6)
	e.Relation = e.WithAddresses(addressesOf(e.services))
	return e
}

// The kernel leads the address that DNS answers to the instances that answer.
func TestServicesInTheKernelAndInDNS(t *testing.T) {
	ip := netip.MustParseAddr
	endpoint := func(id, service, addr4, addr6 string) *record.Endpoint {
		return &record.Endpoint{
			ID: id, Host: "h1", App: "shop", Service: service, Addr4: ip(addr4), Addr6: ip(addr6), Running: true,
			Health: record.HealthNone, Networks: map[string][]string{"shop_default": nil},
		}
	}
	web, db1, db2 := endpoint("w", "web", "100.64.1.2", "fd42:1:2:0:1::2"), endpoint("1", "db", "100.64.1.3", "fd42:1:2:0:1::3"), endpoint("2", "db", "100.64.1.4", "fd42:1:2:0:1::4")
	db2.Health = record.HealthStarting
	on := map[string][]string{"shop_default": nil}
	s := &record.Snapshot{
		Endpoints: endpointsByKey(web, db1, db2),
		Apps:      map[string]*record.App{"shop": {Name: "shop", Services: map[string]record.Service{"web": {Networks: on}, "db": {Networks: on}, "later": {Networks: on}, "each": {Networks: on, DNSRR: true}}}},
	}
	for _, withIPv6 := range []bool{true, false} {
		pool := netip.Prefix{}
		if withIPv6 {
			pool = pool6
		}
		e := effectiveOf(t, s, pool)
		cfg, err := compile(overlay.Config{Pool4: DefaultPool4}, e, []attach.Endpoint{{ID: "w", Joined: true}}, nil)
		if err != nil || e.unaddressed != nil {
			t.Fatal(err, e.unaddressed)
		}
		leads := map[netip.Addr][]netip.Addr{}
		for _, svc := range cfg.Services {
			if !cfg.ServicePool4.Contains(svc.Addr) && !cfg.ServicePool6.Contains(svc.Addr) {
				t.Errorf("%s is outside of the ranges %s and %s", svc.Addr, cfg.ServicePool4, cfg.ServicePool6)
			}
			leads[svc.Addr] = svc.Targets
		}
		for name, want := range map[string]*record.Endpoint{"db": db1, "web": web, "later": nil} {
			services := e.view(web.Key()).Names[name].Services
			if len(services) != 1 || services[0].Name != name+".shop" || services[0].Addr6.IsValid() != withIPv6 {
				t.Fatalf("with IPv6: %t, %s leads to %v, want one address of the service", withIPv6, name, services)
			}
			var want4, want6 []netip.Addr
			if want != nil {
				want4, want6 = []netip.Addr{want.Addr4}, []netip.Addr{want.Addr6}
			}
			equal := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
			if diff := cmp.Diff(want4, leads[services[0].Addr4], equal); diff != "" {
				t.Errorf("targets of %s (-want +got):\n%s", name, diff)
			}
			if diff := cmp.Diff(want6, leads[services[0].Addr6], equal); withIPv6 && diff != "" {
				t.Errorf("IPv6 targets of %s (-want +got):\n%s", name, diff)
			}
		}
		if services := e.view(web.Key()).Names["each"].Services; services != nil {
			t.Errorf("a service with endpoint_mode dnsrr has the addresses %v", services)
		}
		if got, want := len(leads), map[bool]int{true: 6, false: 3}[withIPv6]; got != want {
			t.Errorf("the kernel has %d service addresses, want %d", got, want)
		}
	}
}
