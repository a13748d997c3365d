package reach_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tombolo/linker/reach"
	"tombolo/linker/record"
)

// In every case the endpoint a asks. The test compares the names without a dot.
func TestShortNamesOfAView(t *testing.T) {
	spec := func(s record.Service) map[string]record.Service {
		if s.Networks == nil {
			s.Networks = nets("shop_default")
		}
		return map[string]record.Service{"web": {Networks: nets("shop_default")}, "db": s}
	}
	tests := map[string]struct {
		cluster cluster
		want    []string
	}{
		"services of the app": {
			newCluster().add("a", "shop/web/1").add("b1", "shop/db/1").add("b2", "shop/db/2"),
			[]string{"db -> b1 b2", "web -> a"}},
		"services of another app are not visible": {
			newCluster().add("a", "shop/web/1").add("b", "blog/db/1"), []string{"web -> a"}},
		"aliases on a shared network": {
			newCluster().add("a", "shop/web/1", on("n")).add("b", "shop/db/1", on("n:Store,sql", "m:secret")),
			[]string{"db -> b", "sql -> b", "store -> b", "web -> a"}},
		"two services share an alias": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db-a/1", on("shop_default:db")).add("c", "shop/db-b/1", on("shop_default:db")),
			[]string{"db -> b c", "db-a -> b", "db-b -> c", "web -> a"}},
		"an alias and a service share a name": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1").add("c", "shop/new/1", on("shop_default:db")),
			[]string{"db -> b c", "new -> c", "web -> a"}},
		"link with an alias": {
			newCluster().add("a", "shop/web/1", on("x"), links("db:store")).add("b", "shop/db/1", on("y:sql")),
			[]string{"db -> b", "store -> b", "web -> a"}},
		"the alias of a link hides a service of that name": {
			newCluster().add("a", "shop/web/1", links("db:cache")).add("b", "shop/db/1").add("c", "shop/cache/1"),
			[]string{"cache -> b", "db -> b", "web -> a"}},
		"two links share an alias": {
			newCluster().add("a", "shop/web/1", links("db:x", "cache:x")).add("b", "shop/db/1").add("c", "shop/cache/1"),
			[]string{"cache -> c", "db -> b", "web -> a", "x -> c b"}},
		"strict: only links, and not its own service": {
			newCluster().add("a", "shop/web/1", strict, links("db")).add("b", "shop/db/1", strict).add("c", "shop/web/2", strict).add("d", "shop/cache/1", strict),
			[]string{"db -> b"}},
		"container_name and hostname": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", named("The_DB"), hostname("sql")),
			[]string{"db -> b", "sql -> b", "the_db -> b", "web -> a"}},
		"a service hides a hostname": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", hostname("web")),
			[]string{"db -> b", "web -> a"}},
		"one-off container": {
			newCluster().add("a", "shop", named("tool")).add("b", "shop/db/1"),
			[]string{"db -> b", "tool -> a"}},

		"another app on a shared network": {
			newCluster().add("a", "shop/web/1", on("ext")).add("b", "blog/db/1", on("ext:posts")),
			[]string{"db -> b", "posts -> b", "web -> a"}},
		"a service of the own app hides that of another": {
			newCluster().add("a", "shop/web/1", on("ext")).add("b", "blog/db/1", on("ext")).add("c", "shop/db/1", on("ext")),
			[]string{"db -> c", "web -> a"}},
		"a service without instances of the own app hides that of another": {
			newCluster().add("a", "shop/web/1", on("ext")).add("b", "blog/db/1", on("ext")).
				app("shop", false, map[string]record.Service{"web": {Networks: nets("ext")}, "db": {Networks: nets("ext")}}),
			[]string{"db ->", "web -> a"}},
		"another app by a link": {
			newCluster().add("a", "shop/web/1", links("blog.db:posts")).add("b", "blog/db/1", export()),
			[]string{"db -> b", "posts -> b", "web -> a"}},
		"another app by a link that is not exported": {
			newCluster().add("a", "shop/web/1", links("blog.db:posts")).add("b", "blog/db/1"),
			[]string{"web -> a"}},
		"another app by a link to a service without instances": {
			newCluster().add("a", "shop/web/1", links("blog.db:posts")).
				app("blog", false, map[string]record.Service{"db": {Networks: nets("blog_default"), Export: &record.Export{}}}),
			[]string{"db ->", "posts ->", "web -> a"}},

		"a service without instances": {
			newCluster().add("a", "shop/web/1").app("shop", false, spec(record.Service{Networks: nets("shop_default:sql"), ContainerName: "the_db", Hostname: "H"})),
			[]string{"db ->", "h ->", "sql ->", "the_db ->", "web -> a"}},
		"a link to a service without instances": {
			newCluster().add("a", "shop/web/1").app("shop", false, map[string]record.Service{
				"web": {Networks: nets("n"), Links: []record.Link{link("db:store")}}, "db": {Networks: nets("m")}}),
			[]string{"db ->", "store ->", "web -> a"}},
		"a link to an unknown service": {
			newCluster().add("a", "shop/web/1", links("nothing:x")), []string{"web -> a"}},
		"unhealthy, starting or stopped": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", unhealthy).add("c", "shop/db/2", starting).add("d", "shop/db/3", stopped),
			[]string{"db ->", "web -> a"}},
		"healthy": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", healthy), []string{"db -> b", "web -> a"}},
		"the asker itself is unhealthy": {
			newCluster().add("a", "shop/web/1", unhealthy).add("b", "shop/db/1"), []string{"db -> b", "web ->"}},
		"on a suspended host": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", host("h2")).add("c", "shop/db/2").suspend("h2"),
			[]string{"db -> c", "web -> a"}},
		"drained": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1").add("c", "shop/db/2").app("shop", false, spec(record.Service{Drained: []int{1}})),
			[]string{"db -> c", "web -> a"}},
		"the highest generation": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", gen(1)).add("c", "shop/db/1", gen(2)).add("d", "shop/db/2", gen(1)),
			[]string{"db -> c d", "web -> a"}},
		"the highest generation is dead": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", gen(1)).add("c", "shop/db/1", gen(2), host("h2")).suspend("h2"),
			[]string{"db ->", "web -> a"}},
		"the generation of the app record": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", gen(1)).add("c", "shop/db/1", gen(2)).add("d", "shop/db/1", gen(3)).
				app("shop", false, spec(record.Service{Generations: map[int]uint64{1: 2}})),
			[]string{"db -> c", "web -> a"}},
		"the generation of the app record does not exist": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", gen(1)).app("shop", false, spec(record.Service{Generations: map[int]uint64{1: 2}})),
			[]string{"db ->", "web -> a"}},
		"a slot without a generation in the app record": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/2", gen(1)).add("c", "shop/db/2", gen(5)).
				app("shop", false, spec(record.Service{Generations: map[int]uint64{1: 2}})),
			[]string{"db -> c", "web -> a"}},
		"without slots all endpoints answer": {
			newCluster().add("a", "shop/web").add("b", "shop/db").add("c", "shop/db"), []string{"db -> b c", "web -> a"}},
		"labels differ among a service's containers": {
			newCluster().add("a", "shop/web/1", on("n")).add("b", "shop/db/1", on("n:x")).add("c", "shop/db/2", on("m:y")),
			[]string{"db -> b", "web -> a", "x -> b"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := short(show(tt.cluster.s, reach.Of(tt.cluster.s).Names("a")))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("names (-want +got):\n%s", d)
			}
		})
	}
}

// The test compares all names of a view, also those relative to the zone.
func TestAllNamesOfAView(t *testing.T) {
	w := newCluster().add("a", "shop/web/1", links("blog.api"), named("h1.host"), hostname("db.pay")).
		add("b", "shop/db/1", on("shop_default:db.pay,tasks.db.shop")).
		add("c", "shop/db", ports(5432)).
		add("d", "blog/api/3", export(), host("h2")).
		add("p", "pay/db/1").
		app("shop", false, map[string]record.Service{
			"web": {Networks: nets("shop_default"), Replicas: 2, Links: []record.Link{link("blog.api")}},
			"db":  {Networks: nets("shop_default:db.pay,tasks.db.shop"), Replicas: 1, Ports: tcp(5432)},
		}).suspend("h2")
	w.s.Hosts["h1"] = &record.Host{Name: "h1", Underlay: netip.MustParseAddr("198.18.0.11")}
	w.s.Hosts["h2"] = &record.Host{Name: "h2", Underlay: netip.MustParseAddr("198.18.0.12")}
	v := reach.Of(w.s).Names("a")
	want := []string{
		"1.db.shop -> b", "1.web.shop -> a", "2.web.shop ->", "3.api.blog ->",
		"api ->", "api.blog ->", "c-c.db.shop -> c", "db -> b c", "db.pay -> b c", "db.shop -> b c",
		"h1.host -> 198.18.0.11", "h2.host ->", "tasks.api.blog ->", "tasks.db.shop -> b c", "tasks.web.shop -> a",
		"web -> a", "web.shop -> a",
	}
	got := show(w.s, v)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
	var bare []string
	for name, a := range v.Names {
		if a.Short {
			bare = append(bare, name)
		}
	}
	slices.Sort(bare)
	// tasks.db.shop is an alias, too. h1.host is a container's name, too, but nothing hides a host.
	if d := cmp.Diff([]string{"api", "db", "db.pay", "tasks.db.shop", "web"}, bare); d != "" {
		t.Errorf("short names (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]record.Port{{Number: 5432, Proto: "tcp"}}, v.Names["db"].Ports); d != "" {
		t.Errorf("ports of db (-want +got):\n%s", d)
	}
	ptr := map[string]string{}
	for addr, name := range v.PTR {
		ptr[addr.String()] = name
	}
	wantPTR := map[string]string{
		"100.64.0.2": "1.web.shop", "100.64.0.3": "1.db.shop", "100.64.0.4": "c-c.db.shop", "100.64.0.5": "3.api.blog",
	}
	if d := cmp.Diff(wantPTR, ptr); d != "" {
		t.Errorf("names of addresses (-want +got):\n%s", d)
	}
}

func TestHostSeesEveryApp(t *testing.T) {
	w := newCluster().add("a", "shop/web/1", strict).add("b", "blog/db/1", named("x")).add("f", "").
		app("shop", true, map[string]record.Service{"web": {Replicas: 1}, "later": {Replicas: 1}})
	w.s.Hosts["h1"] = &record.Host{Name: "h1", Underlay: netip.MustParseAddr("fd00::1")}
	v := reach.Of(w.s).HostView()
	want := []string{
		"1.db.blog -> b", "1.later.shop ->", "1.web.shop -> a", "db.blog -> b", "h1.host -> invalid IP",
		"later.shop ->", "tasks.db.blog -> b", "tasks.later.shop ->", "tasks.web.shop -> a", "web.shop -> a",
	}
	if d := cmp.Diff(want, show(w.s, v)); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
	if got := v.Names["h1.host"].Targets[0].Addr6.String(); got != "fd00::1" {
		t.Errorf("h1.host has the address %s, want fd00::1", got)
	}
	if len(v.PTR) != 2 {
		t.Errorf("the addresses with a name are %v, want those of a and b", v.PTR)
	}
}

func TestReusedAddressNamesTheRunningContainer(t *testing.T) {
	w := newCluster().add("a", "shop/web/1").add("b", "shop/db/1", stopped).add("c", "shop/cache/1")
	w.s.Endpoints["b"].Addr4 = w.s.Endpoints["c"].Addr4
	for range 20 { // the order of maps must not matter
		if got := reach.Of(w.s).Names("a").PTR[w.s.Endpoints["c"].Addr4]; got != "1.cache.shop" {
			t.Fatalf("the address has the name %s, want 1.cache.shop", got)
		}
	}
}

func TestEqualSnapshotsGiveEqualViews(t *testing.T) {
	w := newCluster().add("a", "shop/web/1", on("n", "m"), links("db:x")).add("b", "shop/db/1", on("m:q", "n:q")).add("c", "shop/db/2", on("n"))
	first := reach.Of(w.s).Names("a")
	for range 20 {
		if d := cmp.Diff(first, reach.Of(w.s).Names("a"), cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreFields(record.View{}, "Instances")); d != "" {
			t.Fatalf("a second view of the same snapshot differs (-first +second):\n%s", d)
		}
	}
}

func TestViewIsInternalWithoutEgress(t *testing.T) {
	internal := func(e *record.Endpoint) { e.Internal = true }
	w := newCluster().add("a", "shop/web/1").add("b", "shop/db/1", internal).add("c", "").add("d", "", internal)
	for id, want := range map[string]bool{"a": false, "b": true, "c": false, "d": true, "unknown": true} {
		if got := reach.Of(w.s).Names(id).Internal; got != want {
			t.Errorf("the view of %s has Internal=%v, want %v", id, got, want)
		}
	}
}
