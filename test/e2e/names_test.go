package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
	"tombolo/linker/record"
)

// The members of a cluster are healthy only when they have found each other. With a member less than
// they need none is healthy, and only they find each other; with the last one all are.
func TestClusterFormsByName(t *testing.T) {
	for name, health := range map[string]string{
		"cluster-late":  "{interval: 500ms}",                     // the members are unhealthy while they wait
		"cluster-start": "{interval: 500ms, start_period: 100s}", // the members are starting while they wait
	} {
		t.Run(name, func(t *testing.T) { formCluster(t, name, health) })
	}
}

func formCluster(t *testing.T, app, health string) {
	file := compose(t, app, `
  db:
    image: %CHECKED%
    command: [member, "5432", tasks.db, "4"]
    environment: {UNHEALTHY: "1"}
    healthcheck: `+health+`
    deploy: {replicas: 3}
  web: {image: %IMAGE%, command: [serve, "80"]}
`)
	if _, err := tombolo.Must(t.Context(), "-f", file, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	var members []api.Instance
	within(t, func(context.Context) error {
		members = slices.DeleteFunc(instances(t, app), func(i api.Instance) bool { return i.Address == "" })
		if len(members) != 4 {
			return fmt.Errorf("only %d instances have an address", len(members))
		}
		return nil
	})
	web := members[slices.IndexFunc(members, func(i api.Instance) bool { return i.Service == "web" })]
	members = slices.DeleteFunc(members, func(i api.Instance) bool { return i.Service == "web" })
	var addresses []string
	for _, m := range members {
		addresses = append(addresses, m.Address)
	}
	for _, m := range members {
		within(t, func(ctx context.Context) error { return finds(ctx, m, "tasks.db", addresses...) })
		within(t, func(ctx context.Context) error { return finds(ctx, m, fmt.Sprint(m.Slot, ".db"), m.Address) })
	}
	for _, name := range []string{"tasks.db", "1.db", "db-2", app + "-db-3"} {
		if out, err := inInstance(t.Context(), web, "lookup", name); err == nil {
			t.Errorf("web finds members that are not healthy under the name %s: %s", name, out)
		}
	}
	if _, err := tombolo.Must(t.Context(), "-p", app, "scale", "db=4"); err != nil {
		t.Fatal(err)
	}
	addresses = nil
	for _, i := range allUp(t, app, 5) {
		if i.Service == "db" {
			addresses = append(addresses, i.Address)
		}
	}
	within(t, func(ctx context.Context) error { return finds(ctx, web, "tasks.db", addresses...) })
}

// Every form of the names of instances answers in view, on any host, and in the view alone. None of
// them ever leaves the cluster: a name server stands in for the Internet and counts.
func TestNamesOfInstancesStayInTheCluster(t *testing.T) {
	h := testLab.Hosts[1]
	internet := startNameServer(t, h)
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	api := start(t, 2, spec{app: "pay", service: "api", args: []string{"serve", "80"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	id, err := docker(t.Context(), db.host, "inspect", "-f", "{{.Id}}", db.name)
	if err != nil {
		t.Fatal(err)
	}
	own := []string{"tasks.db", "1.db", "db-1", "shop-db-1", "shop_db_1", "TASKS.Db", "1.db.", id[:12],
		"tasks.db.shop.tombolo.internal", "1.db.shop.tombolo.internal"}
	for _, name := range own {
		web.sees(t, name, db.address(t))
		if out, err := web.getent(name); err != nil || !strings.Contains(out, db.address(t)+" ") {
			t.Errorf("glibc looks up %s in web: %q, %v; want %s", name, out, err, db.address(t))
		}
	}
	api.sees(t, "tasks.api", api.address(t))
	within(t, func(context.Context) error {
		if out := inHost(t, h, tombolo.Binary, "resolve", "1.api.pay"); !strings.Contains(out, api.address(t)) {
			return fmt.Errorf("the linker of web's host does not know api yet: %s", out)
		}
		return nil
	})
	for _, name := range []string{"2.db", "db-2", "shop-db-2", "tasks.api", "1.api", "api-1", "pay-api-1", "pay_api_1", "api",
		"nobody", "nobody-1", "tasks.api.pay.tombolo.internal", strings.ToUpper("tasks.api")} {
		if out, err := web.exec(t.Context(), "lookup", name); err == nil || !strings.Contains(out, "no such host") {
			t.Errorf("web looks up %s and gets %q, want that it does not exist", name, out)
		}
		var exit *exec.ExitError
		if out, err := web.getent(name); !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("glibc looks up %s in web: %q, %v; want exit code 2, not found", name, out, err)
		}
	}
	web.sees(t, "control.example", "192.0.2.7")
	if asked := internet.names(); len(asked) != 1 || asked[0] != "control.example" {
		t.Errorf("the name server was asked for %v, want control.example alone", asked)
	}

	// With a search list of one's own, a name that does not exist goes on to the next entry.
	inHost(t, h, "bash", "-c", "printf 'nameserver 169.254.1.1\nsearch corp.example\noptions ndots:0\n' >/run/searching.conf")
	searching := start(t, 1, spec{app: "shop", service: "searching", resolvConf: "/run/searching.conf", args: []string{"serve", "80"}})
	searching.sees(t, "tasks.db", db.address(t))
	searching.sees(t, "9.db", "192.0.2.7")
	if asked := internet.names(); !slices.Equal(asked, []string{"9.db.corp.example", "control.example"}) {
		t.Errorf("the name server was asked for %v, want control.example and 9.db.corp.example", asked)
	}
}

// getent looks a name up with the glibc of this machine, from the container's network and with the
// resolv.conf of containers.
func (c container) getent(name string) (string, error) {
	const script = `mount --bind /var/lib/tombolo/resolv.conf /etc/resolv.conf
exec nsenter --net=/proc/$(docker inspect -f '{{.State.Pid}}' "$1")/ns/net getent ahosts "$2"`
	out, err := c.host.Command("unshare", "--mount", "bash", "-ec", script, "bash", c.name, name).CombinedOutput()
	return string(out), err
}

// nameServer is a name server outside of the cluster.
type nameServer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

// Write takes the output of the server's process.
func (n *nameServer) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.Write(b)
}

func (n *nameServer) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.String()
}

// names returns the names that the server was asked for, in lower case, each once.
func (n *nameServer) names() []string {
	var all []string
	for line := range strings.Lines(n.text()) {
		if name, ok := strings.CutPrefix(line, "asked for "); ok {
			all = append(all, strings.ToLower(strings.TrimSpace(name)))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// startNameServer makes a new name server the only one that a host's linker forwards to, until the
// test ends.
func startNameServer(t *testing.T, h lab.Host) *nameServer {
	t.Helper()
	const addr = "127.0.0.153"
	server := &nameServer{}
	cmd := h.Command(probe, "nameserver", addr)
	cmd.Stdout, cmd.Stderr = server, server
	end, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	before := inHost(t, h, "cat", "/etc/resolv.conf")
	t.Cleanup(func() {
		inHost(t, h, "bash", "-c", "echo '"+before+"' >/etc/resolv.conf")
		end.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the name server ended: %v", err)
		}
	})
	within(t, func(context.Context) error {
		if text := server.text(); !strings.Contains(text, "ready") {
			return fmt.Errorf("the name server has not started: %s", text)
		}
		return nil
	})
	inHost(t, h, "bash", "-c", "echo nameserver "+addr+" >/etc/resolv.conf")
	return server
}

// An app on a shared network gives its service the names of another app's instances as aliases. The
// other app's containers do not notice.
func TestOtherAppsDoNotTakeNamesOfInstances(t *testing.T) {
	names := []string{"tasks.db", "1.db", "db-1", "shop-db-1", "shop_db_1"}
	shared := map[string][]string{"market": nil}
	db := start(t, 0, spec{app: "shop", service: "db", networks: shared, args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", networks: shared, args: []string{"serve", "80"}})
	thief := start(t, 2, spec{app: "pay", service: "db-1", networks: map[string][]string{"market": append([]string{"loot"}, names...)},
		flags: []string{"--label", record.LabelEndpointMode + "=dnsrr"}, args: []string{"serve", "80"}})
	web.sees(t, "loot", thief.address(t))
	for _, name := range names {
		web.sees(t, name, db.address(t))
		thief.sees(t, name, thief.address(t)) // its own app's names are its own
	}
}

// A service with endpoint_mode dnsrr has no address of its own. The mode changes while its containers
// run; tasks.db, 1.db and SRV records lead to instances in both modes.
func TestEndpointModes(t *testing.T) {
	file := compose(t, "rounds", `
  db:
    image: %IMAGE%
    command: [serve, "5432"]
    expose: ["5432"]
    deploy: {replicas: 2, endpoint_mode: dnsrr}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`)
	up(t, file)
	before := allUp(t, "rounds", 3)
	asker, one, two := instance(t, "rounds", "asker", 1), instance(t, "rounds", "db", 1), instance(t, "rounds", "db", 2)
	both := []string{one.Address, two.Address}
	toInstances := func() {
		t.Helper()
		within(t, func(ctx context.Context) error { return finds(ctx, asker, "tasks.db", both...) })
		within(t, func(ctx context.Context) error { return finds(ctx, asker, "1.db", one.Address) })
		for _, name := range []string{"_5432._tcp.db", "_5432._tcp.tasks.db"} {
			targets := strings.Fields(mustProbe(t, asker, "srv", name))
			slices.Sort(targets)
			if want := []string{"1.db.rounds.tombolo.internal.5432", "2.db.rounds.tombolo.internal.5432"}; !slices.Equal(targets, want) {
				t.Errorf("the SRV records of %s lead to %v, want %v", name, targets, want)
			}
		}
	}
	within(t, func(ctx context.Context) error { return finds(ctx, asker, "db", both...) })
	toInstances()

	rewrite(t, file, "endpoint_mode: dnsrr", "endpoint_mode: vip")
	up(t, file)
	within(t, func(ctx context.Context) error {
		out, err := inInstance(ctx, asker, "lookup", "db")
		if addrs := strings.Fields(out); err != nil || len(addrs) != 2 || slices.Contains(both, addrs[0]) {
			return fmt.Errorf("db has the addresses %v, want one of each family that is no instance's: %w", addrs, err)
		}
		return nil
	})
	mustProbe(t, asker, "dial", "db:5432")
	toInstances()

	rewrite(t, file, "endpoint_mode: vip", "endpoint_mode: dnsrr")
	up(t, file)
	within(t, func(ctx context.Context) error { return finds(ctx, asker, "db", both...) })
	for _, i := range before {
		if now := instance(t, "rounds", i.Service, i.Slot); now.Container != i.Container {
			t.Errorf("another endpoint_mode replaced the container of %s.%d", i.Service, i.Slot)
		}
	}
}
