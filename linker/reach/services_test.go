package reach_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/reach"
	"tombolo/linker/record"
)

// virtual gives the services db, api and web of the tests an address.
func virtual(app, service string) (addr4, addr6 netip.Addr) {
	n := byte(1 + slices.Index([]string{"web", "db", "api", "cache"}, service))
	if n == 0 || app == "poor" {
		return netip.Addr{}, netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{100, 127, 0, n}), netip.AddrFrom16([16]byte{0: 0xfd, 15: n})
}

func dnsrr(e *record.Endpoint) { e.DNSRR = true }
func ipv6(e *record.Endpoint)  { e.Addr6 = netip.MustParseAddr("fd00::ffff") }

func TestNamesLeadToServiceAddresses(t *testing.T) {
	shop := func(spec record.Service) map[string]record.Service {
		spec.Networks, spec.Replicas = nets("shop_default:store"), 2
		return map[string]record.Service{"web": {Networks: nets("shop_default")}, "db": spec}
	}
	for _, tt := range []struct {
		name    string
		cluster cluster
		ask     string
		want    string
	}{
		{"a service", newCluster().add("a", "shop/web/1").add("b", "shop/db/1", ipv6), "db", "db.shop=100.127.0.2=fd00::2"},
		{"its full name", newCluster().add("a", "shop/web/1").add("b", "shop/db/1", ipv6), "db.shop", "db.shop=100.127.0.2=fd00::2"},
		{"an alias", newCluster().add("a", "shop/web/1").add("b", "shop/db/1", ipv6, on("shop_default:store")), "store", "db.shop=100.127.0.2=fd00::2"},
		{"a link", newCluster().add("a", "shop/web/1", links("db:store")).add("b", "shop/db/1", ipv6), "store", "db.shop=100.127.0.2=fd00::2"},
		{"the asker's own service", newCluster().add("a", "shop/web/1"), "web", "web.shop=100.127.0.1"},
		{"before there is an instance", newCluster().add("a", "shop/web/1").app("shop", false, shop(record.Service{})), "db", "db.shop=100.127.0.2=fd00::2"},
		{"while nobody is healthy", newCluster().add("a", "shop/web/1").add("b", "shop/db/1", unhealthy), "db", "db.shop=100.127.0.2=fd00::2"},
		{"without an instance with IPv6", newCluster().add("a", "shop/web/1").add("b", "shop/db/1"), "db", "db.shop=100.127.0.2"},
		{"names of instances do not", newCluster().add("a", "shop/web/1").add("b", "shop/db/1"), "tasks.db.shop", ""},
		{"nor does a container's", newCluster().add("a", "shop/web/1").add("b", "shop/db/1", named("boss")), "boss", ""},
		{"dnsrr in the app record", newCluster().add("a", "shop/web/1").add("b", "shop/db/1").app("shop", false, shop(record.Service{DNSRR: true})), "db", ""},
		{"dnsrr in labels", newCluster().add("a", "shop/web/1").add("b", "shop/db/1", dnsrr), "db", ""},
		{"a service that got no address", newCluster().add("a", "poor/web/1").add("b", "poor/db/1"), "db", ""},
		{"an alias of two services leads to both", newCluster().add("a", "shop/web/1").add("b", "shop/db/1", on("shop_default:q")).
			add("c", "shop/api/1", on("shop_default:q")), "q", "api.shop=100.127.0.3 db.shop=100.127.0.2"},
		{"if one of them has no address, to its instances", newCluster().add("a", "shop/web/1").add("b", "shop/db/1", on("shop_default:q")).
			add("c", "shop/api/1", dnsrr, on("shop_default:q")), "q", "1.api.shop=100.64.0.4 db.shop=100.127.0.2"},
		{"an alias of one container alone leads to that", newCluster().add("a", "shop/web/1").add("b", "shop/db/1", on("shop_default:leader")).
			add("c", "shop/db/2"), "leader", ""},
		{"a service that the asker reaches in part leads to that part", newCluster().add("a", "shop/web/1").add("b", "shop/db/1").
			add("c", "shop/db/2", on("shop_other")), "db", ""},
		{"an instance out of reach that does not answer makes no difference", newCluster().add("a", "shop/web/1").add("b", "shop/db/1").
			add("c", "shop/db/2", on("shop_other"), stopped), "db", "db.shop=100.127.0.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			view := reach.Of(tt.cluster.s).WithAddresses(virtual).Names("a")
			answers, ok := view.Names[tt.ask]
			if !ok {
				t.Fatalf("%s does not exist", tt.ask)
			}
			got := ""
			for _, target := range answers.Services {
				got += " " + target.Name + "=" + target.Addr4.String()
				if target.Addr6.IsValid() {
					got += "=" + target.Addr6.String()
				}
				if a := target.Addr4; a.As4()[1] == 127 && view.PTR[a] != target.Name {
					t.Errorf("the reverse name of %s is %q, want %s", a, view.PTR[a], target.Name)
				}
			}
			if want := tt.want; got != "" && got[1:] != want || got == "" && want != "" {
				t.Errorf("%s leads to the services%s, want %s", tt.ask, got, want)
			}
		})
	}
}

// A service has the endpoints that answer as its targets, on any host.
func TestTargetsOfServices(t *testing.T) {
	w := newCluster().add("a", "shop/db/1", gen(2)).add("b", "shop/db/2", host("h2")).add("c", "shop/db/3", starting).
		add("d", "shop/db/4", stopped).add("e", "shop/db/5", host("h3")).add("f", "shop/db/1", gen(1)).
		add("g", "shop/db/6").add("h", "shop/web/1", dnsrr).add("i", "shop").add("j", "").
		app("shop", false, map[string]record.Service{"db": {Drained: []int{6}}, "later": {}}).suspend("h3")
	var got []string
	for _, s := range reach.Of(w.s).Services("h1") {
		line := s.Name + "." + s.App + " ->"
		for _, e := range s.Targets {
			line += " " + e.ID
		}
		got = append(got, line)
	}
	if diff := cmp.Diff([]string{"db.shop -> a b", "later.shop ->"}, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

// In a large cluster a host has only the services that its containers may reach.
func TestServicesOfAHostInALargeCluster(t *testing.T) {
	w := newCluster().add("a", "shop/web/1", host("h1")).add("b", "shop/db/1", host("h2")).add("c", "bank/web/1", host("h2"))
	for n := range 300 {
		w.add(fmt.Sprint("x", n), fmt.Sprintf("app%d/s/1", n), host("h3"))
	}
	for host, want := range map[string][]string{"h1": {"db.shop", "web.shop"}, "h2": {"web.bank", "db.shop", "web.shop"}} {
		var got []string
		for _, s := range reach.Of(w.s).Services(host) {
			got = append(got, s.Name+"."+s.App)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("services of %s (-want +got):\n%s", host, diff)
		}
	}
}
