package reach_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tombolo/linker/reach"
	"tombolo/linker/record"
)

// In every case the endpoint a asks for the endpoint b.
func TestAllowedFollowsTheOneRule(t *testing.T) {
	port := func(n uint16) record.Port { return record.Port{Number: n, Proto: "tcp"} }
	udp := record.Port{Number: 80, Proto: "udp"}
	service := func(networks map[string][]string, change func(*record.Service)) record.Service {
		s := record.Service{Networks: networks}
		if change != nil {
			change(&s)
		}
		return s
	}
	tests := map[string]struct {
		cluster cluster
		port    record.Port
		want    bool
	}{
		"same app, same network": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1"), port(80), true},
		"any port on a shared network, even if the service names its ports": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", ports(5432)), port(80), true},
		"any protocol on a shared network": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1"), udp, true},
		"same app, no shared network": {
			newCluster().add("a", "shop/web/1", on("shop_front")).add("b", "shop/db/1", on("shop_back")), port(80), false},
		"one of several networks": {
			newCluster().add("a", "shop/web/1", on("shop_front", "shop_mid")).add("b", "shop/db/1", on("shop_mid", "shop_back")), port(80), true},
		"same service": {
			newCluster().add("a", "shop/web/1").add("b", "shop/web/2"), port(80), true},
		"same app, no network at all": {
			newCluster().add("a", "shop/web/1", on()).add("b", "shop/db/1", on()), port(80), false},
		"one-off container of the app": {
			newCluster().add("a", "shop").add("b", "shop/db/1"), port(80), true},

		"link across networks": {
			newCluster().add("a", "shop/web/1", on("shop_front"), links("db:store")).add("b", "shop/db/1", on("shop_back")), port(80), true},
		"link is directed": {
			newCluster().add("b", "shop/web/1", on("shop_front"), links("db")).add("a", "shop/db/1", on("shop_back")), port(80), false},
		"link to another service": {
			newCluster().add("a", "shop/web/1", on("x"), links("cache")).add("b", "shop/db/1", on("y")), port(80), false},
		"link reaches a port that the service names": {
			newCluster().add("a", "shop/web/1", on("x"), links("db")).add("b", "shop/db/1", on("y"), ports(5432)), port(5432), true},
		"link does not reach another port": {
			newCluster().add("a", "shop/web/1", on("x"), links("db")).add("b", "shop/db/1", on("y"), ports(5432)), port(22), false},
		"link does not reach another protocol": {
			newCluster().add("a", "shop/web/1", on("x"), links("db")).add("b", "shop/db/1", on("y"), ports(80)), udp, false},
		"an unset protocol is tcp": {
			newCluster().add("a", "shop/web/1", on("x"), links("db")).add("b", "shop/db/1", on("y"), ports(80)), record.Port{Number: 80}, true},
		"port 0 asks for any port": {
			newCluster().add("a", "shop/web/1", on("x"), links("db")).add("b", "shop/db/1", on("y"), ports(80)), record.Port{}, true},
		"link in upper case": {
			newCluster().add("a", "shop/web/1", on("x"), links("DB")).add("b", "shop/db/1", on("y")), port(80), true},
		"link names its own app": {
			newCluster().add("a", "shop/web/1", on("x"), links("shop.db")).add("b", "shop/db/1", on("y")), port(80), true},

		"strict: a network is not enough": {
			newCluster().add("a", "shop/web/1", strict).add("b", "shop/db/1", strict), port(80), false},
		"strict: only the target is": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", strict), port(80), false},
		"strict: only the asker is": {
			newCluster().add("a", "shop/web/1", strict).add("b", "shop/db/1"), port(80), false},
		"strict: a link is enough": {
			newCluster().add("a", "shop/web/1", strict, links("db")).add("b", "shop/db/1", strict), port(80), true},
		"strict: replicas do not see each other": {
			newCluster().add("a", "shop/web/1", strict).add("b", "shop/web/2", strict), port(80), false},
		"strict: unless the service links to itself": {
			newCluster().add("a", "shop/web/1", strict, links("web")).add("b", "shop/web/2", strict), port(80), true},

		"other app": {
			newCluster().add("a", "blog/web/1").add("b", "shop/db/1"), port(80), false},
		"other app, shared external network": {
			newCluster().add("a", "blog/web/1", on("metrics")).add("b", "shop/db/1", on("metrics", "shop_default")), port(80), true},
		"other app, shared external network, strict target": {
			newCluster().add("a", "blog/web/1", on("metrics")).add("b", "shop/db/1", on("metrics"), strict), port(80), false},
		"other app, link without export": {
			newCluster().add("a", "blog/web/1", links("shop.db")).add("b", "shop/db/1"), port(80), false},
		"other app, export without link": {
			newCluster().add("a", "blog/web/1").add("b", "shop/db/1", export()), port(80), false},
		"other app, link and export": {
			newCluster().add("a", "blog/web/1", links("shop.db")).add("b", "shop/db/1", export()), port(80), true},
		"other app, link and export to it": {
			newCluster().add("a", "blog/web/1", links("shop.db")).add("b", "shop/db/1", export("x", "Blog")), port(80), true},
		"other app, link and export to another": {
			newCluster().add("a", "blog/web/1", links("shop.db")).add("b", "shop/db/1", export("x")), port(80), false},
		"other app, strict, link and export": {
			newCluster().add("a", "blog/web/1", strict, links("shop.db")).add("b", "shop/db/1", strict, export()), port(80), true},
		"other app, link and export, other port": {
			newCluster().add("a", "blog/web/1", links("shop.db")).add("b", "shop/db/1", export(), ports(5432)), port(22), false},
		"a link without an app stays in the asker's app": {
			newCluster().add("a", "blog/web/1", links("db")).add("b", "shop/db/1", export()), port(80), false},

		"foreign asker":            {newCluster().add("a", "").add("b", "shop/db/1"), port(80), false},
		"foreign target":           {newCluster().add("a", "shop/web/1").add("b", ""), port(80), false},
		"foreign both":             {newCluster().add("a", "").add("b", ""), port(80), false},
		"foreign on our network":   {newCluster().add("a", "", on("shop_default")).add("b", "shop/db/1"), port(80), false},
		"foreign with a link":      {newCluster().add("a", "", links("shop.db")).add("b", "shop/db/1", export()), port(80), false},
		"unknown target":           {newCluster().add("a", "shop/web/1"), port(80), false},
		"drained, still reached":   {newCluster().add("a", "shop/web/1").add("b", "shop/db/1").app("shop", false, map[string]record.Service{"web": service(nets("n"), nil), "db": service(nets("n"), func(s *record.Service) { s.Drained = []int{1} })}), port(80), true},
		"stopped, still reached":   {newCluster().add("a", "shop/web/1").add("b", "shop/db/1", stopped), port(80), true},
		"suspended, still reached": {newCluster().add("a", "shop/web/1").add("b", "shop/db/1", host("h2")).suspend("h2"), port(80), true},
		"superseded, still reached": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", gen(1)).add("c", "shop/db/1", gen(2)), port(80), true},

		"app record adds a network": {
			newCluster().add("a", "shop/web/1", on()).add("b", "shop/db/1", on()).
				app("shop", false, map[string]record.Service{"web": service(nets("n"), nil), "db": service(nets("n"), nil)}), port(80), true},
		"app record takes a network away": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1").
				app("shop", false, map[string]record.Service{"web": service(nets("n"), nil), "db": service(nets("m"), nil)}), port(80), false},
		"app record takes a link away": {
			newCluster().add("a", "shop/web/1", on("x"), links("db")).add("b", "shop/db/1", on("y")).
				app("shop", false, map[string]record.Service{"web": service(nets("x"), nil), "db": service(nets("y"), nil)}), port(80), false},
		"app record adds a link": {
			newCluster().add("a", "shop/web/1", on("x")).add("b", "shop/db/1", on("y")).
				app("shop", false, map[string]record.Service{"web": service(nets("x"), func(s *record.Service) { s.Links = []record.Link{link("db")} }), "db": service(nets("y"), nil)}), port(80), true},
		"app record takes an export away": {
			newCluster().add("a", "blog/web/1", links("shop.db")).add("b", "shop/db/1", export()).
				app("shop", false, map[string]record.Service{"db": service(nets("y"), nil)}), port(80), false},
		"app record bounds the ports of a link": {
			newCluster().add("a", "shop/web/1", on("x"), links("db")).add("b", "shop/db/1", on("y")).
				app("shop", false, map[string]record.Service{"db": service(nets("y"), func(s *record.Service) { s.Ports = tcp(1) })}), port(80), false},
		"app record makes it strict": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1").
				app("shop", true, map[string]record.Service{"web": service(nets("n"), nil), "db": service(nets("n"), nil)}), port(80), false},
		"app record makes it strict for those it does not name": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1").app("shop", true, nil), port(80), false},
		"labels hold where the app record is silent": {
			newCluster().add("a", "shop/web/1").add("b", "shop/old/1").
				app("shop", false, map[string]record.Service{"web": service(nets("shop_default"), nil)}), port(80), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := reach.Of(tt.cluster.s).Allowed("a", "b", tt.port); got != tt.want {
				t.Errorf("a may reach b: %v, want %v", got, tt.want)
			}
			if !reach.Of(tt.cluster.s).Allowed("a", "a", tt.port) {
				t.Error("a may not reach itself")
			}
		})
	}
}

// grants formats the pairs of the groups of host as "from > to ports", by to and from.
func grants(t *testing.T, w cluster, host string) []string {
	t.Helper()
	lines := map[string]string{}
	for _, g := range reach.Of(w.s).Groups(host) {
		for _, from := range g.From {
			for _, to := range g.To {
				if from == to {
					continue
				}
				line := from.ID + " > " + to.ID
				for _, p := range g.Ports {
					line += fmt.Sprintf(" %d/%s", p.Number, p.Proto)
				}
				lines[to.ID+" "+from.ID+line] = line
			}
		}
	}
	out := []string{}
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		out = append(out, lines[key])
	}
	return out
}

func TestOutsideIsClosedToInternalAndUnknownEndpoints(t *testing.T) {
	inside := func(e *record.Endpoint) { e.Internal = true }
	r := reach.Of(newCluster().add("open", "shop/web/1").add("shut", "shop/db/1", inside).add("foreign", "").s)
	got := map[string]string{}
	for _, id := range []string{"open", "shut", "foreign", "unknown"} {
		ok, why := r.Outside(id)
		if ok != (why == "") {
			t.Errorf("Outside(%s) = %v, %q, want a reason exactly if it is closed", id, ok, why)
		}
		got[id] = why
	}
	want := map[string]string{
		"open": "", "foreign": "", "shut": "all of its networks are internal", "unknown": "it is not identified yet",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons why the outside is closed (-want +got):\n%s", diff)
	}
}

func TestEndpointsOfADeadHostAreLostAndPerhapsSuperseded(t *testing.T) {
	r := reach.Of(newCluster().suspend("h2").add("alive", "shop/web/1", gen(1)).add("draining", "shop/web/2", gen(1)).add("next", "shop/web/2", gen(2)).
		add("lost", "shop/db/1", host("h2"), gen(1)).add("replaced", "shop/db/2", host("h2"), gen(1)).add("other", "shop/db/2", gen(2)).
		add("foreign", "", host("h2")).s)
	got := map[string][2]bool{}
	for _, id := range []string{"alive", "draining", "next", "lost", "replaced", "other", "foreign", "unknown"} {
		lost, superseded := r.Lost(id)
		got[id] = [2]bool{lost, superseded}
	}
	want := map[string][2]bool{
		"alive": {}, "draining": {}, "next": {}, "other": {}, "unknown": {},
		"lost": {true, false}, "foreign": {true, false}, "replaced": {true, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lost and superseded endpoints (-want +got):\n%s", diff)
	}
}

func TestGrantsOfAHost(t *testing.T) {
	w := newCluster().
		add("web1", "shop/web/1", host("h1"), on("shop_front"), links("db")).
		add("web2", "shop/web/2", host("h2"), on("shop_front"), links("db")).
		add("db1", "shop/db/1", host("h1"), on("shop_back"), ports(5432)).
		add("db0", "shop/db/1", host("h2"), on("shop_back"), ports(5432), stopped, gen(0)).
		add("blog", "blog/web/1", host("h2"), links("shop.db:store")).
		add("alien", "", host("h1")).
		suspend("h2")
	tests := map[string][]string{
		"h1": {"db0 > db1", "web1 > db1 5432/tcp", "web2 > db1 5432/tcp", "web2 > web1"},
		"h2": {"db1 > db0", "web1 > db0 5432/tcp", "web2 > db0 5432/tcp", "web1 > web2"},
		"h3": {},
	}
	for host, want := range tests {
		if d := cmp.Diff(want, grants(t, w, host)); d != "" {
			t.Errorf("grants of %s (-want +got):\n%s", host, d)
		}
	}
	w.s.Endpoints["db1"].Export = &record.Export{To: []string{"blog"}}
	want := []string{"blog > db1 5432/tcp", "db0 > db1", "web1 > db1 5432/tcp", "web2 > db1 5432/tcp", "web2 > web1"}
	if d := cmp.Diff(want, grants(t, w, "h1")); d != "" {
		t.Errorf("grants of h1 after db is exported to blog (-want +got):\n%s", d)
	}
}

func TestGrantsAgreeWithAllowed(t *testing.T) {
	w := newCluster().
		add("a", "shop/web/1", links("db", "blog.api")).add("b", "shop/db/1", on("x"), ports(1)).add("c", "shop/web/2", strict).
		add("d", "blog/api/1", export("shop")).add("e", "blog/web/1", on("x")).add("f", "").add("g", "shop")
	granted := map[string]bool{}
	for _, line := range grants(t, w, "h1") {
		granted[strings.Join(strings.Fields(line)[:3], " ")] = true
	}
	for from := range w.s.Endpoints {
		for to := range w.s.Endpoints {
			if from == to {
				continue
			}
			if want := reach.Of(w.s).Allowed(from, to, record.Port{}); granted[from+" > "+to] != want {
				t.Errorf("from %s to %s there is a grant: %v, but Allowed says %v", from, to, granted[from+" > "+to], want)
			}
		}
	}
}

// A group has a reason that stays the same while endpoints come and go, and its members are in
// it once, however many endpoints receive.
func TestGroupsAreNetworksAndLinks(t *testing.T) {
	w := newCluster().add("web1", "shop/web/1", host("h2"), links("db")).add("web2", "shop/web/2", links("db")).
		add("db1", "shop/db/1", on("back"), ports(5432)).add("db2", "shop/db/2", on("back"), ports(5432)).
		app("shop", false, map[string]record.Service{
			"web": {Networks: nets("front"), Links: []record.Link{{Service: "db"}}}, "db": {Networks: nets("back"), Ports: []record.Port{{Number: 5432, Proto: "tcp"}}},
		})
	ids := func(endpoints []*record.Endpoint) string {
		var all []string
		for _, e := range endpoints {
			all = append(all, e.ID)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	got := map[string]string{}
	for _, g := range reach.Of(w.s).Groups("h1") {
		got[g.Reason] = fmt.Sprintf("%s > %s %v", ids(g.From), ids(g.To), len(g.Ports))
	}
	want := map[string]string{
		"network front":   "web1 web2 > web2 0",
		"network back":    "db1 db2 > db1 db2 0",
		"link to db.shop": "web1 web2 > db1 db2 1",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("groups of h1 (-want +got):\n%s", d)
	}
}

func TestEveryTargetOfANameCanBeReached(t *testing.T) {
	w := newCluster().
		add("a", "shop/web/1", links("db:store", "blog.api:posts"), named("front"), hostname("www")).
		add("b", "shop/db/1", on("x:sql"), ports(1)).add("c", "shop/web/2", strict).
		add("d", "blog/api/1", export("shop"), on("blog_default:api2", "x")).add("e", "blog/web/1", on("x")).add("f", "").add("g", "shop", named("tool"))
	r := reach.Of(w.s)
	for from := range w.s.Endpoints {
		v := r.Names(from)
		for name, a := range v.Names {
			for _, target := range a.Targets {
				for to, e := range w.s.Endpoints {
					if e.Addr4 == target.Addr4 && !r.Allowed(from, to, record.Port{}) {
						t.Errorf("for %s the name %s leads to %s, which it may not reach", from, name, to)
					}
				}
			}
		}
		for to, e := range w.s.Endpoints {
			if _, visible := v.PTR[e.Addr4]; visible != (e.App != "" && r.Allowed(from, to, record.Port{})) {
				t.Errorf("%s sees a name for the address of %s: %v, want %v", from, to, visible, !visible)
			}
		}
	}
}

func TestUnknownAndForeignAskersSeeNothing(t *testing.T) {
	w := newCluster().add("b", "shop/db/1").add("f", "")
	w.s.Hosts["h1"] = &record.Host{Name: "h1"}
	for _, from := range []string{"nobody", "f"} {
		v := reach.Of(w.s).Names(from)
		if d := cmp.Diff(record.View{Index: 7, Internal: from == "nobody"}, v, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("the view of %s is not empty (-want +got):\n%s", from, d)
		}
	}
}
