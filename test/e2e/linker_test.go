package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"tombolo/cmd/lab"
	"tombolo/linker/api"
)

func TestLinkedByNameAcrossHosts(t *testing.T) {
	start(t, 0, spec{app: "shop", service: "db", networks: map[string][]string{"shop_default": {"database"}}, args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	for _, name := range []string{"db", "database", "db.shop.tombolo.internal", "1.db.shop.tombolo.internal", "DB"} {
		if out := web.reaches(t, name+":5432"); !strings.Contains(out, "shop-db-0: hello") {
			t.Errorf("dialling %s got %q, want an answer of shop-db-0", name, out)
		}
	}
}

func TestStrangersDoNotExistForEachOther(t *testing.T) {
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	for host := range testLab.Hosts {
		stranger := start(t, host, spec{app: "stranger", service: "tool", args: []string{"serve", "80"}})
		stranger.reaches(t, "tool:80") // it reaches its own app
		stranger.refuses(t, "db:5432")
		stranger.refuses(t, "db.shop.tombolo.internal:5432")
		stranger.refuses(t, db.address(t)+":5432")
	}
}

func TestForgedSourceReachesNobody(t *testing.T) {
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"catch", "9999"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	stranger := start(t, 1, spec{app: "stranger", service: "tool", flags: []string{"--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN"}, args: []string{"serve", "80"}})

	// The same packet arrives when the owner of the address sends it.
	within(t, func(ctx context.Context) error {
		if out, err := web.exec(ctx, "forge", web.address(t), db.address(t), "9999"); err != nil {
			return fmt.Errorf("web sends with its own address: %w: %s", err, out)
		}
		if !strings.Contains(db.logs(t), web.address(t)) {
			return fmt.Errorf("web's own packet has not arrived at db")
		}
		return nil
	})
	stranger.forges(t, web.address(t), db, db.address(t))
}

// forges sends datagrams with the source address from to another container. It checks that they do
// not arrive and that the sender's host counts them.
func (c container) forges(t *testing.T, from string, to container, addr string) {
	t.Helper()
	counted := func() string { return inHost(t, c.host, "nft", "list", "counter", "inet", "tombolo", "forged") }
	before, count := to.logs(t), counted()
	if out, err := c.exec(t.Context(), "forge", from, addr, "9999"); err != nil {
		t.Fatalf("forge: %v: %s", err, out)
	}
	if after := to.logs(t); after != before {
		t.Errorf("forged datagrams arrived: %q", strings.TrimPrefix(after, before))
	}
	if counted() == count {
		t.Errorf("the counter of forged packets has not changed: %s", count)
	}
}

// A DNS query with a forged source address is not answered. Otherwise the linker would send the
// answer from web's view to web's address.
func TestForgedQueryIsNotAnswered(t *testing.T) {
	start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"catch", "9999"}})
	stranger := start(t, 1, spec{app: "stranger", service: "tool", flags: []string{"--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN"}, args: []string{"catch", "9999"}})
	answered := func(c container) error {
		before := c.logs(t)
		if out, err := c.exec(t.Context(), "ask", c.address(t), "9999", "db.shop.tombolo.internal"); err != nil {
			return fmt.Errorf("%s sends a query: %w: %s", c.name, err, out)
		}
		if after := c.logs(t); after == before {
			return fmt.Errorf("no DNS answer has arrived at %s", c.name)
		}
		return nil
	}
	for _, c := range []container{web, stranger} { // each with its own address gets an answer
		within(t, func(context.Context) error { return answered(c) })
	}
	before := web.logs(t)
	for range 5 {
		if out, err := stranger.exec(t.Context(), "ask", web.address(t), "9999", "db.shop.tombolo.internal"); err != nil {
			t.Fatalf("ask: %v: %s", err, out)
		}
	}
	within(t, func(context.Context) error { return answered(stranger) }) // now the linker has seen all earlier queries too
	if after := web.logs(t); after != before {
		t.Errorf("answers to forged queries arrived: %q", strings.TrimPrefix(after, before))
	}
}

func TestLinkerKilledWhileTrafficFlows(t *testing.T) {
	start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	holder := start(t, 2, spec{app: "shop", service: "holder", args: []string{"hold", "db:5432"}})
	within(t, func(context.Context) error { return exchanges(t, holder) })
	before := map[string][]string{}
	for _, h := range testLab.Hosts {
		before[h.Name] = linkerProcesses(t, h)
		killLinker(t, h)
	}
	for _, h := range testLab.Hosts {
		waitReady(t, h)
		for _, pid := range linkerProcesses(t, h) {
			if slices.Contains(before[h.Name], pid) {
				t.Errorf("process %s of the linker of %s still runs, want both replaced", pid, h.Name)
			}
		}
	}
	if err := exchanges(t, holder); err != nil {
		t.Errorf("after the linkers were killed, the held connection carries nothing: %v", err)
	}
	if err := holder.running(t.Context()); err != nil {
		t.Errorf("the connection broke: %v: %s", err, holder.logs(t))
	}
	web.reaches(t, "db:5432") // a new connection
}

// exchanges waits until the connection of a holder has carried another line.
func exchanges(t *testing.T, holder container) error {
	t.Helper()
	before := len(holder.logs(t))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(holder.logs(t)) == before {
		if err := holder.running(ctx); err != nil {
			return err
		}
	}
	return nil
}

// The supervisor kills a stuck linker. A container start that is under way may fail, because the
// Engine's plugin client repeats a broken call without its body. Then it fails soon and with a
// reason, and the next start succeeds.
func TestLinkerStoppedWhileContainersStart(t *testing.T) {
	start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	h := testLab.Hosts[1]
	pids := linkerProcesses(t, h)
	if len(pids) != 2 {
		t.Fatalf("the linker of %s has the processes %v, want two", h.Name, pids)
	}
	inHost(t, h, "kill", "-STOP", pids[1]) // the child of the supervisor, which serves Docker
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := docker(ctx, h, "run", "--rm", "--net", "tombolo", image, "dial", "localhost:1")
	if ctx.Err() != nil {
		t.Fatalf("docker run hangs: %v", err)
	}
	if !strings.Contains(out, "linker was restarted") && !strings.Contains(out, "probe: dial tcp") { // the latter if the probe ran
		t.Errorf("docker run printed %q, want the reason or the probe's own error", out)
	}
	waitReady(t, h)
	if now := linkerProcesses(t, h); len(now) != 2 || now[0] != pids[0] || now[1] == pids[1] {
		t.Errorf("the linker of %s had the processes %v and has %v, want the same supervisor and another child", h.Name, pids, now)
	}
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
}

func TestTheDriverRefusesASecondNetwork(t *testing.T) {
	h := testLab.Hosts[0]
	start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, try := range []struct {
		flags []string
		want  string
	}{
		{nil, "make the network with --ipam-driver tombolo"},
		{[]string{"--ipam-driver", "tombolo"}, "already has a network on the tombolo driver"},
		{[]string{"--ipam-driver", "tombolo", "--ipv6"}, "make the network without --ipv6"},
	} {
		out, err := docker(ctx, h, slices.Concat([]string{"network", "create", "-d", "tombolo"}, try.flags, []string{"second"})...)
		if err == nil {
			t.Errorf("docker network create %v succeeded, want it refused", try.flags)
			_, _ = docker(ctx, h, "network", "rm", "second")
		}
		if ctx.Err() != nil {
			t.Fatalf("docker network create %v hangs", try.flags)
		}
		if !strings.Contains(out, try.want) {
			t.Errorf("docker network create %v printed %q, want %q in it", try.flags, out, try.want)
		}
	}
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
}

func TestGarbageChangesNothing(t *testing.T) {
	start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	h := testLab.Hosts[0]
	before := linkerProcesses(t, h)

	junk := make([]byte, 1200)
	for range 50 {
		rand.Read(junk)
		send(t, "udp", h.Underlay.String()+":7980", junk)
		send(t, "tcp", h.Underlay.String()+":7980", junk)
		sendUnix(t, h.RunDir()+"/docker/plugins/tombolo.sock", junk)
		sendUnix(t, h.RunDir()+"/tombolo/linker.sock", junk)
	}
	sendUnix(t, h.RunDir()+"/docker/plugins/tombolo.sock", []byte("POST /NetworkDriver.Join HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{\"a\":[[[["))
	junkDNS(t, h, junk)

	if after := linkerProcesses(t, h); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("the linker was restarted: its processes were %v and are %v", before, after)
	}
	web.reaches(t, "db:5432")
	if out, err := docker(t.Context(), h, "network", "inspect", "tombolo"); err != nil {
		t.Errorf("docker network inspect: %v: %s", err, out)
	}
}

// send writes junk from the underlay's network namespace.
func send(t *testing.T, network, addr string, junk []byte) {
	t.Helper()
	err := lab.InUnderlay(func() error {
		c, err := net.DialTimeout(network, addr, time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(junk)
		return err
	})
	if err != nil {
		t.Errorf("send to %s %s: %v", network, addr, err)
	}
}

func sendUnix(t *testing.T, path string, junk []byte) {
	t.Helper()
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(junk); err != nil {
		t.Errorf("send to %s: %v", path, err)
	}
}

// junkDNS sends junk to the DNS server from the host itself.
func junkDNS(t *testing.T, h lab.Host, junk []byte) {
	t.Helper()
	file := t.TempDir() + "/junk"
	if err := os.WriteFile(file, junk, 0o600); err != nil {
		t.Fatal(err)
	}
	inHost(t, h, "bash", "-c", fmt.Sprintf("for p in udp tcp; do for i in $(seq 20); do cat %s >/dev/$p/169.254.1.1/53; done; done", file))
}

// inHost runs a command inside a host and returns its output.
func inHost(t *testing.T, h lab.Host, argv ...string) string {
	t.Helper()
	b, err := h.Command(argv...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v in %s: %v: %s", argv, h.Name, err, b)
	}
	return strings.TrimSpace(string(b))
}

// linkerProcesses returns the process numbers of a host's linker inside the host, oldest first: the
// supervisor, then its child, which does the work.
func linkerProcesses(t *testing.T, h lab.Host) []string {
	t.Helper()
	b, err := h.Command("pgrep", "-f", "tombolo linker").Output()
	if err != nil {
		t.Fatalf("find the linker of %s: %v", h.Name, err)
	}
	return strings.Fields(string(b))
}

// killLinker kills the linker of a host and its supervisor. The host's init starts them again.
func killLinker(t *testing.T, h lab.Host) {
	t.Helper()
	signalLinker(t, h, "-9")
}

// waitReady waits until a host's linker reports that it is ready.
func waitReady(t *testing.T, h lab.Host) {
	t.Helper()
	client := api.NewClient(h.LinkerSocket())
	within(t, func(ctx context.Context) error {
		s, err := client.Status(ctx)
		if err == nil && !s.Ready {
			err = fmt.Errorf("the linker of %s is not ready: %v", h.Name, s.Problems)
		}
		return err
	})
}

func TestContainersWithoutLabelsAreIsolated(t *testing.T) {
	h := testLab.Hosts[0]
	out, err := docker(t.Context(), h, "run", "-d", "--name", "foreign", "--net", "tombolo", image, "serve", "80")
	if err != nil {
		t.Fatalf("start a container without labels: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "-H", h.DockerHost(), "rm", "-f", "foreign").Run() })
	foreign := container{host: h, name: "foreign"}
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "web:80")
	web.refuses(t, foreign.address(t)+":80")
	foreign.refuses(t, web.address(t)+":80")
}
