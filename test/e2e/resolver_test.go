package e2e

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
	"tombolo/linker/record"
)

// dockerResolver is where programs look for Docker's own resolver, as in nginx' `resolver 127.0.0.11`.
const dockerResolver = "127.0.0.11:53"

// Containers do not use Docker's own resolver, which would answer with the names of all other
// containers of the host. At its address they find the linker.
func TestContainersDoNotUseDockersResolver(t *testing.T) {
	up(t, compose(t, "unheard", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
  db:
    image: %IMAGE%
    command: [serve, "80"]
  inside:
    image: %IMAGE%
    command: [serve, "80"]
    networks: {shut: }
networks: {shut: {internal: true}}
`))
	const inside = "inside"
	neighbours, internet := map[string]container{}, map[string]*nameServer{}
	for i, h := range testLab.Hosts {
		neighbours[h.Name] = start(t, i, spec{app: "neighbour", service: "tool", args: []string{"serve", "80"}})
		internet[h.Name] = startNameServer(t, h)
	}
	all := allUp(t, "unheard", 3)
	db := all[slices.IndexFunc(all, func(i api.Instance) bool { return i.Service == "db" })]
	for _, instance := range all {
		host, err := testLab.Host(instance.Host)
		if err != nil {
			t.Fatal(err)
		}
		own, neighbour := container{*host, instance.Container}, neighbours[instance.Host]
		if out, err := inInstance(t.Context(), instance, "lookup", instance.Service); err != nil {
			t.Errorf("%s cannot look up its own name: %v: %s", instance.Service, err, out)
		}
		for _, network := range []string{"udp", "tcp"} {
			own.gets(t, dockerResolver, network, "tasks."+instance.Service, own.address(t))
			own.gets(t, dockerResolver, network, neighbour.name, "none")
			own.gets(t, dockerResolver, network, neighbour.address(t), "none")
			if instance.Service == "web" {
				own.gets(t, dockerResolver, network, db.Address, "1.db.unheard.tombolo.internal.")
			}
		}
		outside := instance.Service + ".example"
		if out, err := own.exec(t.Context(), "resolve", dockerResolver, "udp", outside); (err == nil) == (instance.Service == inside) {
			t.Errorf("%s asks 127.0.0.11 for a name of the outside: %v: %s; inside alone wants no answer", instance.Service, err, out)
		}
		if asked := slices.Contains(internet[instance.Host].names(), outside); asked == (instance.Service == inside) {
			t.Errorf("a query of %s arrived at the name server of the outside: %v; inside's must not", instance.Service, asked)
		}
		own.ignoresDockersResolver(t, neighbour)
	}
}

// A container that something else launched has Docker's resolver on every Engine. Its queries go to
// the linker all the same, from the start, after a restart of the linker, and whatever other Docker
// networks the container joins. One that leaves the overlay gets Docker's resolver back.
func TestForeignContainersDoNotUseDockersResolver(t *testing.T) {
	h := testLab.Hosts[0]
	neighbour := start(t, 0, spec{app: "bystander", service: "tool", args: []string{"serve", "80"}})
	db := start(t, 1, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	// It has no resolv.conf of the linker: what Docker writes there names 127.0.0.11.
	web := container{host: h, name: "plain-web"}
	const side = "side"
	t.Cleanup(func() {
		_, _ = docker(context.Background(), h, "rm", "-f", web.name)
		_, _ = docker(context.Background(), h, "network", "rm", side)
	})
	if out, err := docker(t.Context(), h, "network", "create", side); err != nil {
		t.Fatalf("network create: %v: %s", err, out)
	}
	if out, err := docker(t.Context(), h, "run", "-d", "--name", web.name, "--network", "tombolo", "--label", record.LabelApp+"=shop",
		"--label", record.LabelService+"=web", image, "serve", "80"); err != nil {
		t.Fatalf("start %s: %v: %s", web.name, err, out)
	}
	check := func() {
		t.Helper()
		for _, network := range []string{"udp", "tcp"} {
			web.gets(t, dockerResolver, network, "tasks.db", db.address(t))
			web.gets(t, dockerResolver, network, db.address(t), "1.db.shop.tombolo.internal.")
			web.gets(t, dockerResolver, network, neighbour.name, "none")
			web.gets(t, dockerResolver, network, neighbour.address(t), "none")
		}
		web.ignoresDockersResolver(t, neighbour)
	}
	web.sees(t, "tasks.db", db.address(t))
	check()
	if resolvers := web.dockersResolvers(t); len(resolvers) != 2 {
		t.Fatalf("Docker's resolver listens on %v; the test expects that it does, over UDP and TCP", resolvers)
	}
	killChild(t, h)
	waitReady(t, h)
	check()
	mustDocker(t, h, "network", "connect", side, web.name)
	check()
	mustDocker(t, h, "network", "disconnect", "tombolo", web.name)
	within(t, func(ctx context.Context) error { // its own name on the other network
		out, err := web.exec(ctx, "resolve", dockerResolver, "udp", web.name)
		if err != nil || out == "none" {
			return fmt.Errorf("%s on its other network: %w: %s", web.name, err, out)
		}
		return nil
	})
	mustDocker(t, h, "network", "connect", "tombolo", web.name)
	web.sees(t, "tasks.db", db.address(t))
	check()
}

// An internal container does not reach the name servers of the outside by Docker's resolver, which
// asks them in the name of the host.
func TestInternalContainersHaveNoTunnelThroughDockersResolver(t *testing.T) {
	h := testLab.Hosts[1]
	internet := startNameServer(t, h)
	open := start(t, 1, spec{app: "tunnel", service: "open", args: []string{"serve", "80"}})
	shut := start(t, 1, spec{app: "tunnel", service: "shut", flags: []string{"--label", record.LabelInternal + "=true"}, args: []string{"serve", "80"}})
	open.gets(t, dockerResolver, "udp", "open.example", "192.0.2.7")
	shut.gets(t, dockerResolver, "udp", "tasks.open", open.address(t))
	for _, server := range append(shut.dockersResolvers(t), "udp "+dockerResolver, "tcp "+dockerResolver) {
		network, addr, _ := strings.Cut(server, " ")
		if out, err := shut.exec(t.Context(), "resolve", addr, network, "secret.example"); err == nil {
			t.Errorf("an internal container asks %s for a name of the outside: %s", server, out)
		}
	}
	if asked := internet.names(); !slices.Equal(asked, []string{"open.example"}) {
		t.Errorf("the name server was asked for %v, want open.example alone", asked)
	}
}

// gets waits until a server answers the container so.
func (c container) gets(t *testing.T, server, network, name, want string) {
	t.Helper()
	within(t, func(ctx context.Context) error {
		if out, err := c.exec(ctx, "resolve", server, network, name); err != nil || out != want {
			return fmt.Errorf("%s asks %s over %s for %s: %q, want %q: %w", c.name, server, network, name, out, want, err)
		}
		return nil
	})
}

// ignoresDockersResolver checks that the container gets nothing at the ports on which Docker's own
// resolver listens, if it does.
func (c container) ignoresDockersResolver(t *testing.T, neighbour container) {
	t.Helper()
	for _, server := range c.dockersResolvers(t) {
		network, addr, _ := strings.Cut(server, " ")
		if out, err := c.exec(t.Context(), "resolve", addr, network, neighbour.name); err == nil {
			t.Errorf("%s asks Docker's resolver at %s for %s: %s", c.name, server, neighbour.name, out)
		}
	}
}

var listening = regexp.MustCompile(`^(udp|tcp) .*\s(127\.0\.0\.11:\d+)\s`)

// dockersResolvers returns where Docker's own resolver listens in the container, such as
// "udp 127.0.0.11:41234".
func (c container) dockersResolvers(t *testing.T) []string {
	t.Helper()
	out, err := inSandbox(t, c.host, c.name, "ss", "-Hlnut")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(out) {
		if m := listening.FindStringSubmatch(line); m != nil {
			found = append(found, m[1]+" "+m[2])
		}
	}
	return found
}

// inSandbox runs a command of the host in a container's network namespace.
func inSandbox(t *testing.T, h lab.Host, name string, argv ...string) (string, error) {
	t.Helper()
	pid, err := docker(t.Context(), h, "inspect", "-f", "{{.State.Pid}}", name)
	if err != nil {
		return "", fmt.Errorf("find the process of %s: %w: %s", name, err, pid)
	}
	if _, err := strconv.Atoi(pid); err != nil {
		return "", err
	}
	return inHost(t, h, append([]string{"nsenter", "--net=/proc/" + pid + "/ns/net"}, argv...)...), nil
}

func mustDocker(t *testing.T, h lab.Host, args ...string) {
	t.Helper()
	if out, err := docker(t.Context(), h, args...); err != nil {
		t.Fatalf("docker %v: %v: %s", args, err, out)
	}
}
