package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"tombolo/framework/api"
	"tombolo/linker/record"
)

// servicePool is the range of service addresses in the default pool.
var servicePool = netip.MustParsePrefix("100.127.0.0/16")

// service returns the two addresses of a service, as an instance looks them up.
func serviceAddress(t *testing.T, asker api.Instance, name string) (addr4, addr6 string) {
	t.Helper()
	within(t, func(ctx context.Context) error {
		out, err := inInstance(ctx, asker, "lookup", name)
		got := strings.Fields(out)
		if err != nil || len(got) != 2 {
			return fmt.Errorf("%s has the addresses %v, want one of each family: %w", name, got, err)
		}
		addr4, addr6 = got[0], got[1]
		return nil
	})
	if a, err := netip.ParseAddr(addr4); err != nil || !servicePool.Contains(a) {
		t.Errorf("%s has the address %s, want one of %s", name, addr4, servicePool)
	}
	if a, err := netip.ParseAddr(addr6); err != nil || !testLab.Pool6.Contains(a) {
		t.Errorf("%s has the address %s, want one of %s", name, addr6, testLab.Pool6)
	}
	return addr4, addr6
}

// flows is the number of connections by which the tests measure how even a service is. Five
// standard deviations around a third of them are 35.
const flows, leastShare, mostShare = 150, 15, 85

// A client that looks a service up once, or that sorts addresses, is led evenly to three
// replicas on three hosts, over TCP and UDP, IPv4 and IPv6, also from the host itself. The
// address is the same after the linker has been killed, and connections survive that.
func TestAServiceAddressLeadsEvenlyToReplicas(t *testing.T) {
	up(t, compose(t, "even", `
  web: {image: %IMAGE%, command: [serve, "80"], deploy: {replicas: 3}}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`))
	allUp(t, "even", 4)
	asker := instance(t, "even", "asker", 1)
	addr4, addr6 := serviceAddress(t, asker, "web")
	h, err := testLab.Host(asker.Host)
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		for _, network := range []string{"tcp4", "tcp6", "udp4", "udp6"} {
			even(t, "in a container, "+network, mustProbe(t, asker, "spread", network, "web", "80", strconv.Itoa(flows)))
			host := map[byte]string{'4': addr4, '6': addr6}[network[3]]
			even(t, "on the host, "+network, inHost(t, *h, probe, "spread", network, host, "80", strconv.Itoa(flows)))
		}
	}
	check()
	out := inHost(t, *h, tombolo.Binary, "resolve", "web", "--from", "1.asker.even")
	if !strings.Contains(out, addr4) || !strings.Contains(out, addr6) || !strings.Contains(out, "3.web.even") {
		t.Errorf("resolve web does not show the address and the instances:\n%s", out)
	}
	if out := inHost(t, *h, tombolo.Binary, "resolve", addr6, "--from", "1.asker.even"); !strings.Contains(out, "web.even") {
		t.Errorf("resolve %s does not name the service: %s", addr6, out)
	}
	killChild(t, *h)
	waitReady(t, *h)
	if again4, again6 := serviceAddress(t, asker, "web"); again4 != addr4 || again6 != addr6 {
		t.Errorf("after a restart of the linker web has %s and %s, want %s and %s", again4, again6, addr4, addr6)
	}
	check()
}

// even checks the output of spread.
func even(t *testing.T, where, out string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range lines {
		_, count, _ := strings.Cut(line, " ")
		if n, err := strconv.Atoi(count); err != nil || n < leastShare || n > mostShare || len(lines) != 3 {
			t.Errorf("%s, %d connections were answered by %q, want three replicas with about %d each", where, flows, lines, flows/3)
			return
		}
	}
}

// The address of a service exists before its first healthy instance. Until then, and whenever
// nobody is healthy, connections are refused at once. Instances that are unhealthy get no new
// flow: those of UDP move to another instance, those of TCP stay.
func TestOnlyHealthyInstancesGetNewFlows(t *testing.T) {
	file := compose(t, "moody", `
  web: {image: %CHECKED%, command: [serve, "80"], deploy: {replicas: 2}, environment: {UNHEALTHY: "1"}}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`)
	if _, err := tombolo.Must(t.Context(), "-f", file, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	awaitInstance(t, "moody", "asker", 1, func(i api.Instance) bool { return i.State == api.StateUp })
	asker := instance(t, "moody", "asker", 1)
	addr4, addr6 := serviceAddress(t, asker, "web")
	refused := func() {
		t.Helper()
		for network, addr := range map[string]string{"tcp4": addr4, "tcp6": addr6, "udp4": addr4, "udp6": addr6} {
			out, err := inInstance(t.Context(), asker, "spread", network, addr, "80", "1")
			after := regexp.MustCompile(`after (\S+): .*connection refused`).FindStringSubmatch(out)
			if err == nil || after == nil {
				t.Errorf("with nobody healthy, a connection (%s) ends with %v: %s; want that it is refused", network, err, out)
				continue
			}
			if took, err := time.ParseDuration(after[1]); err != nil || took > time.Second {
				t.Errorf("with nobody healthy, a connection (%s) is refused after %s, want at once", network, after[1])
			}
		}
	}
	refused()
	var web [2]api.Instance
	for n := range web {
		web[n] = awaitInstance(t, "moody", "web", n+1, func(i api.Instance) bool { return i.Container != "" && i.Address != "" })
		mustProbe(t, web[n], "healthy")
	}
	answering(t, asker, web[:]...)
	held := start(t, 0, spec{app: "moody", service: "held", networks: map[string][]string{"moody_default": nil}, args: []string{"hold", "web:80"}})
	flow := start(t, 1, spec{app: "moody", service: "flow", networks: map[string][]string{"moody_default": nil}, args: []string{"talk", "web:80"}})
	last := func() string { all := lines(flow.logs(t)); return all[len(all)-1] }
	var out, rest api.Instance
	within(t, func(context.Context) error {
		for n := range web {
			if hostname(web[n]) == last() {
				out, rest = web[n], web[1-n]
				return nil
			}
		}
		return fmt.Errorf("%q answers the datagrams, want one of the instances", last())
	})
	mustProbe(t, out, "unhealthy")
	answering(t, asker, rest)
	within(t, func(context.Context) error {
		if last() != hostname(rest) {
			return fmt.Errorf("%q answers the datagrams, want %s", last(), hostname(rest))
		}
		return nil
	})
	if err := exchanges(t, held); err != nil {
		t.Errorf("the TCP connection to web broke when an instance became unhealthy: %v: %s", err, held.logs(t))
	}
	mustProbe(t, rest, "unhealthy")
	within(t, func(ctx context.Context) error {
		if out, err := inInstance(ctx, asker, "dial", "web:80"); err == nil {
			return fmt.Errorf("somebody answers: %s", out)
		}
		return nil
	})
	refused()
}

// hostname returns the name by which an instance without hostname: answers.
func hostname(i api.Instance) string { return i.Container[:12] }

// answering waits until exactly these instances of web answer new connections and flows.
func answering(t *testing.T, asker api.Instance, want ...api.Instance) {
	t.Helper()
	within(t, func(ctx context.Context) error {
		for _, network := range []string{"tcp4", "udp6"} {
			out, err := inInstance(ctx, asker, "spread", network, "web", "80", "30")
			if err != nil || len(strings.Split(out, "\n")) != len(want) {
				return fmt.Errorf("%q answer (%s), want %d instances: %w", out, network, len(want), err)
			}
			for _, i := range want {
				if !strings.Contains(out, hostname(i)+" ") {
					return fmt.Errorf("%q answer (%s), want %s too", out, network, hostname(i))
				}
			}
		}
		return nil
	})
}

func TestAnInstanceReachesItselfByItsServiceAddress(t *testing.T) {
	only := start(t, 0, spec{app: "mirror", service: "only", args: []string{"serve", "80"}})
	for _, network := range []string{"tcp4", "tcp6", "udp4", "udp6"} {
		within(t, func(ctx context.Context) error {
			out, err := only.exec(ctx, "spread", network, "only", "80", "3")
			if err != nil || out != only.name+" 3" {
				return fmt.Errorf("3 connections (%s) to its own service: %w: %s", network, err, out)
			}
			return nil
		})
	}
}

// The receiver sees who sends to the service's address, so another app's container is refused
// there as at the instance's own, also if it knows the address and on either host.
func TestPolicySeesWhoAsksAServiceAddress(t *testing.T) {
	for _, host := range []int{0, 1} {
		t.Run(testLab.Hosts[host].Name, func(t *testing.T) {
			db := start(t, host, spec{app: "bank", service: "db", flags: []string{"-p", "127.0.0.1:9999:9999/udp"}, args: []string{"catch", "9999"}})
			web := start(t, 0, spec{app: "bank", service: "web", args: []string{"talk", "db:9999"}})
			thief := start(t, 0, spec{app: "thief", service: "tool", args: []string{"serve", "80"}})
			within(t, func(context.Context) error {
				if got := db.logs(t); !strings.Contains(got, web.address(t)) {
					return fmt.Errorf("db saw datagrams from %q, want them from %s", got, web.address(t))
				}
				return nil
			})
			out, err := web.exec(t.Context(), "lookup", "db")
			addrs := strings.Fields(out)
			if err != nil || len(addrs) != 2 {
				t.Fatalf("look up db: %v: %s", err, out)
			}
			thief.refuses(t, "db:9999")
			for n, network := range []string{"udp4", "udp6"} {
				if out, err := thief.exec(t.Context(), "spread", network, addrs[n], "9999", "1"); err == nil {
					t.Errorf("the thief reached db at its service address: %s", out)
				}
			}
			if got := db.logs(t); strings.Contains(got, thief.address(t)) {
				t.Errorf("db saw datagrams of the thief (%s):\n%s", thief.address(t), got)
			}
		})
	}
}

// Containers that no framework started have service addresses too, unless their labels ask for
// those of the instances.
func TestServicesOfPlainContainers(t *testing.T) {
	for mode, vip := range map[string]bool{"vip": true, "dnsrr": false} {
		t.Run(mode, func(t *testing.T) {
			var db []container
			for n := range 2 {
				db = append(db, start(t, n, spec{app: "plain", service: "db", args: []string{"serve", "80"},
					flags: []string{"--label", record.LabelSlot + "=" + strconv.Itoa(n+1), "--label", record.LabelEndpointMode + "=" + mode}}))
			}
			asker := start(t, 2, spec{app: "plain", service: "web", args: []string{"serve", "80"}})
			asker.sees(t, "tasks.db", db[0].address(t), db[1].address(t))
			if !vip {
				asker.sees(t, "db", db[0].address(t), db[1].address(t))
				return
			}
			within(t, func(ctx context.Context) error {
				out, err := asker.exec(ctx, "spread", "udp4", "db", "80", "40")
				if err != nil || !strings.Contains(out, db[0].name) || !strings.Contains(out, db[1].name) {
					return fmt.Errorf("40 flows are answered by %q, want both containers: %w", out, err)
				}
				return nil
			})
			if out, err := asker.exec(t.Context(), "lookup", "db"); err != nil || len(strings.Fields(out)) != 2 {
				t.Errorf("db has the addresses %q (%v), want one of each family", out, err)
			}
		})
	}
}
