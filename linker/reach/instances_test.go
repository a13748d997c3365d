package reach_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/reach"
	"tombolo/linker/record"
)

// shop is an app record with the service db, which has three replicas, and others.
func shop(others ...string) map[string]record.Service {
	services := map[string]record.Service{"db": {Networks: nets("shop_default"), Replicas: 3}}
	for _, name := range others {
		services[name] = record.Service{Networks: nets("shop_default"), Replicas: 1}
	}
	return services
}

// In every case the endpoint a asks for names without the zone's suffix.
func TestNamesOfInstances(t *testing.T) {
	tests := map[string]struct {
		cluster cluster
		want    []string
	}{
		"every form": {
			newCluster().add("a", "shop/web/1").add("b1", "shop/db/1").add("b2", "shop/db/2", container("0123456789abcdef")),
			[]string{"tasks.db -> b1 b2", "2.db -> b2", "db-2 -> b2", "shop-db-2 -> b2", "shop_db_2 -> b2", "0123456789ab -> b2",
				"web-1 -> a", "tasks.web -> a"}},
		"forms that are none": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1"),
			[]string{"db_1 does not exist", "shop-db_1 does not exist", "shop_db-1 does not exist", "01.db is forwarded", "+1.db is forwarded",
				"db-01 does not exist", "db- does not exist", "-1 does not exist", "1.tasks.db is forwarded", "x.tasks.db is forwarded",
				"tasks. is forwarded", "tasks does not exist", "1.db.shop is forwarded", "tasks.db.shop is forwarded"}},
		"slots that do not exist": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1"),
			[]string{"2.db does not exist", "0.db is forwarded", "99999999999999999999.db is forwarded", "db-2 does not exist", "shop-db-2 does not exist"}},
		"without instances": {
			newCluster().add("a", "shop/web/1").app("shop", false, shop("web")),
			[]string{"tasks.db ->", "3.db ->", "4.db does not exist", "db-3 ->", "db-4 does not exist", "shop-db-3 ->", "shop_db_3 ->"}},
		"aliases": {
			newCluster().add("a", "shop/web/1", links("db:store")).add("b1", "shop/db/1", on("shop_default:sql")).add("b2", "shop/db/2", on("shop_default:sql")),
			[]string{"tasks.store -> b1 b2", "2.store -> b2", "sql-1 -> b1", "shop-sql-1 does not exist", "9.sql does not exist"}},
		"an alias with a dot has no names of instances": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", on("shop_default:db.example")),
			[]string{"db.example -> b", "tasks.db.example is forwarded", "1.db.example is forwarded", "db.example-1 is forwarded"}},
		"two services share an alias": {
			newCluster().add("a", "shop/web/1").add("b1", "shop/db/1", on("shop_default:x")).add("c1", "shop/cache/1", on("shop_default:x")).add("c2", "shop/cache/2", on("shop_default:x")),
			[]string{"1.x -> c1 b1", "2.x -> c2", "tasks.x -> c1 b1 c2"}},
		"names of containers have no names of instances": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", named("the_db"), hostname("sql")),
			[]string{"the_db -> b", "tasks.the_db does not exist", "1.sql does not exist"}},
		"unhealthy, starting, drained, stopped, suspended, replaced": {
			newCluster().add("a", "shop/web/1").add("b1", "shop/db/1", unhealthy).add("b2", "shop/db/2", starting).add("b3", "shop/db/3", host("h2")).
				add("b4", "shop/db/4", gen(1)).add("b5", "shop/db/4", gen(2)).suspend("h2"),
			[]string{"tasks.db -> b5", "1.db ->", "db-2 ->", "shop-db-3 ->", "4.db -> b5"}},

		"another app": {
			newCluster().add("a", "shop/web/1").add("b", "pay/api/1", container("0123456789abcdef")),
			[]string{"tasks.api does not exist", "1.api does not exist", "api-1 does not exist", "pay-api-1 does not exist", "pay_api_1 does not exist",
				"0123456789ab does not exist", "tasks.pay is forwarded", "tasks.nobody is forwarded", "1.nobody is forwarded"}},
		"another app on a shared network": {
			newCluster().add("a", "shop/web/1", on("ext")).add("b", "pay/api/1", on("ext"), container("0123456789abcdef")),
			[]string{"tasks.api -> b", "1.api -> b", "api-1 -> b", "pay-api-1 -> b", "pay_api_1 -> b", "shop-api-1 does not exist", "0123456789ab -> b"}},
		"another app by a link": {
			newCluster().add("a", "shop/web/1", links("pay.api:money")).add("b", "pay/api/1", export()),
			[]string{"tasks.money -> b", "1.api -> b", "pay-api-1 -> b"}},
		"labels differ among a service's containers": {
			newCluster().add("a", "shop/web/1", on("n")).add("b", "shop/db/1", on("n")).add("c", "shop/db/2", on("m"), container("0123456789abcdef")),
			[]string{"tasks.db -> b", "1.db -> b", "2.db does not exist", "shop-db-2 does not exist", "0123456789ab does not exist"}},
		"strict: only links": {
			newCluster().add("a", "shop/web/1", strict, links("db"), container("0123456789abcdef")).add("b", "shop/db/1", strict).add("c", "shop/cache/1", strict),
			[]string{"tasks.db -> b", "shop-db-1 -> b", "tasks.cache does not exist", "shop-cache-1 does not exist", "shop-web-1 does not exist"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { checkAnswers(t, tt.cluster, "a", tt.want) })
	}
}

// checkAnswers compares what the view of an asker knows with lines as ask makes them.
func checkAnswers(t *testing.T, w cluster, asker string, want []string) {
	t.Helper()
	v := reach.Of(w.s).Names(asker)
	for _, line := range want {
		name, _, _ := strings.Cut(line, " ")
		if got := ask(w.s, v, name); got != line {
			t.Errorf("got %q, want %q", got, line)
		}
	}
}

// In every case the endpoint a asks. Several services and containers claim one name.
func TestNamesOfInstancesYieldToNamesOfTheFile(t *testing.T) {
	tests := map[string]struct {
		cluster cluster
		want    []string
	}{
		"a service": {
			newCluster().add("a", "shop/web/1").add("b", "shop/web-1/1"),
			[]string{"web-1 -> b", "1.web -> a", "shop-web-1 -> a", "web-1-1 -> b"}},
		"a service without instances": {
			newCluster().add("a", "shop/web/1").app("shop", false, shop("web", "web-1")), []string{"web-1 ->", "1.web -> a"}},
		"an alias": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", on("shop_default:web-1,tasks.web,1.web,shop-web-1,shop_web_1")),
			[]string{"web-1 -> b", "tasks.web -> b", "1.web -> b", "shop-web-1 -> b", "shop_web_1 -> b"}},
		"the alias of a link": {
			newCluster().add("a", "shop/web/1", links("pay.api:web-1", "pay.api:tasks.web")).add("b", "pay/api/1", export()),
			[]string{"web-1 -> b", "tasks.web -> b"}},
		"a container_name": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", named("web-1")).add("c", "shop/cache/1", named("shop_web_1")),
			[]string{"web-1 -> b", "shop_web_1 -> c", "shop-web-1 -> a"}},
		"a hostname": {
			newCluster().add("a", "shop/web/1").add("b", "shop/db/1", hostname("web-1")), []string{"web-1 -> b"}},
		"a name of Compose's containers, not a service with a dash": {
			newCluster().add("a", "shop/web/1").add("b", "shop/shop-web/1"), []string{"shop-web-1 -> a", "1.shop-web -> b", "shop-shop-web-1 -> b"}},
		"the own app, where app and service could be split in two ways": {
			newCluster().add("a", "x-y/z/1", on("n")).add("b", "x/y-z/1", on("n")), []string{"x-y-z-1 -> a"}},
		"other apps share a name that can be split in two ways": {
			newCluster().add("a", "shop/web/1", on("n")).add("b", "x/y-z/1", on("n")).add("c", "x-y/z/1", on("n")), []string{"x-y-z-1 -> b c"}},
		"a container with an ID like a service": {
			newCluster().add("a", "shop/web/1").add("b", "shop/0123456789ab/1").add("c", "shop/db/1", container("0123456789abcdef")),
			[]string{"0123456789ab -> b"}},
		"a service with a number for a name": {
			newCluster().add("a", "shop/web/1").add("b", "shop/2/1"), []string{"2 -> b", "1.2 -> b", "2-1 -> b", "shop-2-1 -> b"}},
		"an app like a service: its full name needs the zone": {
			newCluster().add("a", "web/2/1").add("b", "web/tasks/1").add("c", "web/web/2"),
			[]string{"2.web -> c", "tasks.web -> c", "tasks -> b"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { checkAnswers(t, tt.cluster, "a", tt.want) })
	}
}

// Another app on a shared network claims names of the asker's own instances, in every way that
// it has. It gets none of them.
func TestOtherAppsDoNotGetNamesOfOwnInstances(t *testing.T) {
	claimed := []string{"tasks.db", "1.db", "2.db", "db-1", "shop-db-1", "shop_db_1", "0123456789ab"}
	honest := newCluster().add("a", "shop/web/1", on("ext")).
		app("shop", false, map[string]record.Service{"web": {Networks: nets("ext"), Replicas: 1}, "db": {Networks: nets("ext"), Replicas: 2}}).
		add("b", "shop/db/1", on("ext"), container("0123456789abcdef"))
	want := []string{"tasks.db -> b", "1.db -> b", "2.db ->", "db-1 -> b", "shop-db-1 -> b", "shop_db_1 -> b", "0123456789ab -> b"}
	checkAnswers(t, honest, "a", want)
	for i, name := range claimed {
		id := "x" + strconv.Itoa(i)
		honest.add(id, "pay/thief/"+strconv.Itoa(3*i+1), on("ext:"+strings.Join(claimed, ",")))
		honest.add(id+"n", "pay/thief/"+strconv.Itoa(3*i+2), on("ext"), named(name))
		honest.add(id+"h", "pay/thief/"+strconv.Itoa(3*i+3), on("ext"), hostname(name))
		if !strings.Contains(name, ".") {
			honest.add(id+"s", "pay/"+name+"/1", on("ext"))
		}
	}
	checkAnswers(t, honest, "a", want)
	v := reach.Of(honest.s).Names("a")
	if got := leads(honest.s, v.Names["tasks.db.shop"]); got != " -> b" {
		t.Errorf("tasks.db.shop leads to%s, want b", got)
	}
}

// Instances of db ask for each other before they are healthy; web asks for them, too.
func TestInstancesSeeThoseOfTheirServiceThatStart(t *testing.T) {
	w := newCluster().add("w", "shop/web/1").add("x", "shop/db-like/1", on("shop_default:db-alias")).
		add("a", "shop/db/1", starting, on("shop_default:store"), hostname("node-a"), container("aaaaaaaaaaaa")).
		add("b", "shop/db/2", healthy, on("shop_default:store")).
		add("c", "shop/db/3", unhealthy, on("shop_default:store"), named("the_c")).
		add("d", "shop/db/4", starting, gen(1), on("shop_default:store")).add("e", "shop/db/4", starting, gen(2), on("shop_default:store")).
		add("f", "shop/db/5", starting, host("h2"), on("shop_default:store")).
		add("g", "shop/db/6", stopped, on("shop_default:store")).suspend("h2")
	checkAnswers(t, w, "w", []string{
		"db -> b", "tasks.db -> b", "1.db ->", "db-1 ->", "shop-db-1 ->", "tasks.store -> b", "node-a ->", "aaaaaaaaaaaa ->", "the_c ->",
	})
	checkAnswers(t, w, "a", []string{
		"db -> b", "store -> b", // a name of the service leads to healthy instances
		"tasks.db -> a b c e", "tasks.store -> a b c e", "1.db -> a", "2.db -> b", "3.db -> c", "4.db -> e", "5.db ->", "6.db ->",
		"db-1 -> a", "shop-db-3 -> c", "shop_db_4 -> e", "node-a -> a", "aaaaaaaaaaaa -> a", "the_c -> c",
	})
	v := reach.Of(w.s).Names("a")
	for name, want := range map[string]string{"db.shop": " -> b", "tasks.db.shop": " -> a b c e", "1.db.shop": " -> a", "3.db.shop": " -> c", "5.db.shop": " ->"} {
		if got := leads(w.s, v.Names[name]); got != want {
			t.Errorf("for an instance of db, %s leads to%s, want%s", name, got, want)
		}
	}
	for _, to := range []string{"b", "c", "e"} {
		if !reach.Of(w.s).Allowed("a", to, record.Port{}) {
			t.Errorf("a may not reach %s, to which names lead it", to)
		}
	}
	if hosts := reach.Of(w.s).HostView(); leads(w.s, hosts.Names["tasks.db.shop"]) != " -> b" {
		t.Errorf("for the host, tasks.db.shop leads to%s, want b", leads(w.s, hosts.Names["tasks.db.shop"]))
	}
}

// In strict mode, instances of one service cannot reach each other unless the file links the service
// to itself. Names follow.
func TestStartingInstancesInStrictMode(t *testing.T) {
	apart := newCluster().add("a", "shop/db/1", strict, starting).add("b", "shop/db/2", strict, starting)
	checkAnswers(t, apart, "a", []string{"tasks.db does not exist", "2.db does not exist", "shop-db-2 does not exist"})
	linked := newCluster().add("a", "shop/db/1", strict, starting, links("db")).add("b", "shop/db/2", strict, starting)
	checkAnswers(t, linked, "a", []string{"tasks.db -> a b", "2.db -> b", "shop-db-2 -> b"})
}

// Drained instances have no name, not even for others of their service.
func TestDrainedInstancesHaveNoNameForTheirService(t *testing.T) {
	services := shop()
	db := services["db"]
	db.Drained = []int{2}
	services["db"] = db
	w := newCluster().add("a", "shop/db/1").add("b", "shop/db/2").add("c", "shop/db/3", starting).app("shop", false, services)
	checkAnswers(t, w, "a", []string{"tasks.db -> a c", "2.db ->", "3.db -> c"})
}

func TestHostSeesInstancesTogetherWithTheirApp(t *testing.T) {
	w := newCluster().add("a", "shop/web/1").add("b", "pay/api-v2/2", strict).app("pay", true, map[string]record.Service{"api-v2": {Replicas: 3}})
	v := reach.Of(w.s).HostView()
	var got []string
	for _, name := range []string{"shop-web-1", "shop_web_1", "pay-api-v2-2", "pay-api-v2-3", "pay-api-v2-4", "web-1", "tasks.web", "1.web"} {
		got = append(got, ask(w.s, v, name))
	}
	want := []string{
		"shop-web-1 -> a", "shop_web_1 -> a", "pay-api-v2-2 -> b", "pay-api-v2-3 ->", "pay-api-v2-4 does not exist",
		"web-1 does not exist", "tasks.web does not exist", "1.web does not exist",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("names in the view of the host (-want +got):\n%s", d)
	}
}

func TestPortsOfNamesOfInstances(t *testing.T) {
	w := newCluster().add("a", "shop/web/1").add("b", "shop/db/1", ports(5432, 9100))
	v := reach.Of(w.s).Names("a")
	for _, name := range []string{"tasks.db", "1.db", "db-1", "shop-db-1"} {
		if a, _ := v.Bare(name); !slices.Equal(a.Ports, tcp(5432, 9100)) {
			t.Errorf("%s has the ports %v, want those of db", name, a.Ports)
		}
	}
}

// For any name that a container asks for: a name of instances leads only to instances with its
// number that the container may reach, and DNS never forwards it.
func FuzzNamesOfInstances(f *testing.F) {
	w := newCluster().add("a", "shop/web/1", on("n"), links("pay.api:money")).add("b", "shop/web-1/2", on("n:x-y")).
		add("c", "x/y-1/1", on("n")).add("d", "x-y/1/1", on("n")).add("e", "pay/api/3", export()).add("s", "secret/vault/1")
	r := reach.Of(w.s)
	v := r.Names("a")
	for _, name := range []string{"tasks.web", "1.web", "web-1", "shop-web-1", "shop_web_1", "x-y-1-1", "pay-api-3", "3.money", "tasks.vault", "secret-vault-1", "--1", "_-_-1", "1.1", "tasks.tasks", "."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		a, found := v.Instances.Find(name)
		if !found {
			return
		}
		if !v.Ours(name) {
			t.Errorf("%q is found, but would be forwarded if it were not", name)
		}
		digits := strings.TrimRight(name, "0123456789")
		number := name[len(digits):]
		if first, _, dotted := strings.Cut(name, "."); dotted {
			number = first
		}
		for _, target := range a.Targets {
			slot, _, _ := strings.Cut(target.Name, ".")
			if number != "tasks" && slot != number {
				t.Errorf("%q leads to %s, want instance %s", name, target.Name, number)
			}
			if strings.HasSuffix(target.Name, ".secret") {
				t.Errorf("%q leads to %s, which the asker may not reach", name, target.Name)
			}
		}
	})
}
