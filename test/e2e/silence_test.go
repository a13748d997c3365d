package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A container that policy refuses, and one that asks for an address that nobody has, is told at once.
func TestRefusalsAreAnsweredAtOnce(t *testing.T) {
	db := start(t, 2, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	stranger := start(t, 1, spec{app: "stranger", service: "tool", args: []string{"serve", "80"}})
	stranger.reaches(t, "tool:80")
	address := db.address(t)
	nobody := address[:strings.LastIndex(address, ".")] + ".250"
	stranger.isRefused(t, address+":5432")
	stranger.isRefused(t, "["+db.address6(t)+"]:5432")
	stranger.isRefused(t, web.address(t)+":80")
	web.isRefused(t, nobody+":5432")
}

// awaitSuspected waits until the host of c takes that of db for dead: no new connection gets there.
func (c container) awaitSuspected(t *testing.T, addr string) {
	t.Helper()
	within(t, func(ctx context.Context) error {
		if out, err := c.exec(ctx, "dial", addr+":5432"); err == nil || !strings.Contains(out, "refused") {
			return fmt.Errorf("%s dials a container of a host that does not answer: %w: %s; want it refused", c.name, err, out)
		}
		return nil
	})
}

// isTold checks that attempts to begin something with the addresses of a container fail at once.
func (c container) isTold(t *testing.T, addr4, addr6 string) {
	t.Helper()
	for network, addr := range map[string]string{"tcp4": addr4, "tcp6": addr6, "udp4": addr4, "udp6": addr6} {
		began := time.Now()
		out, err := c.exec(t.Context(), "spread", network, addr, "5432", "1")
		if took := time.Since(began); err == nil || !strings.Contains(out, "connection refused") || took > atOnce {
			t.Errorf("%s asks %s (%s): %v: %s after %v; want it refused at once", c.name, addr, network, err, out, took)
		}
	}
	for _, addr := range []string{addr4, addr6} {
		began := time.Now()
		if out, err := c.exec(t.Context(), "ping", addr); out != "unreachable" || time.Since(began) > atOnce {
			t.Errorf("%s pings %s: %v: %s after %v; want that it is unreachable at once", c.name, addr, err, out, time.Since(began))
		}
	}
}

// A client of a host that has died is told at once, at the addresses of its containers and at the
// address of the service, over TCP and UDP, IPv4 and IPv6.
func TestADeadHostIsAnsweredAtOnce(t *testing.T) {
	db := start(t, 2, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	address, address6 := db.address(t), db.address6(t)
	service, service6 := web.looksUp(t, "db")
	dieSilently(t, testLab.Hosts[2].Name)
	web.awaitSuspected(t, address)
	web.isTold(t, address, address6)
	web.isTold(t, service, service6)
}

// looksUp returns the address of each family that a name has.
func (c container) looksUp(t *testing.T, name string) (addr4, addr6 string) {
	t.Helper()
	out, err := c.exec(t.Context(), "lookup", name)
	addrs := strings.Fields(out)
	if err != nil || len(addrs) != 2 {
		t.Fatalf("%s looks up %s: %v: %q, want one address of each family", c.name, name, err, out)
	}
	return addrs[0], addrs[1]
}

// A host whose linker hangs is taken for dead, though its containers serve. New connections to
// them are refused meanwhile. Those that were there go on all the time, in both directions and
// through the service's address, and when the linker runs again everything is as before.
func TestAFalseAlarmCutsNothing(t *testing.T) {
	silent := testLab.Hosts[2]
	db := start(t, 2, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	address, address6 := db.address(t), db.address6(t)
	holders := []container{
		start(t, 1, spec{app: "shop", service: "by-address", args: []string{"hold", address + ":5432"}}),
		start(t, 1, spec{app: "shop", service: "by-address6", args: []string{"hold", "[" + address6 + "]:5432"}}),
		start(t, 1, spec{app: "shop", service: "by-service", args: []string{"hold", "db:5432"}}),
		start(t, 2, spec{app: "shop", service: "back", args: []string{"hold", web.address(t) + ":80"}}),
	}
	flow := start(t, 1, spec{app: "shop", service: "flow", args: []string{"talk", address + ":5432"}})
	idle, server := web.keep(t, "db:5432")
	goOn := func(when string) {
		t.Helper()
		for _, h := range holders {
			if err := exchanges(t, h); err != nil {
				t.Errorf("%s, %s lost its connection: %v: %s", when, h.name, err, h.logs(t))
			}
		}
	}
	goOn("before the alarm")

	t.Cleanup(func() { signalLinker(t, silent, "-CONT") })
	inHost(t, silent, append([]string{"kill", "-STOP"}, linkerProcesses(t, silent)...)...) // the supervisor first, so that it cannot replace its child
	web.awaitSuspected(t, address)
	web.isTold(t, address, address6)
	goOn("during the alarm")

	signalLinker(t, silent, "-CONT")
	waitReady(t, silent)
	web.reaches(t, address+":5432")
	web.reaches(t, "db:5432")
	goOn("after the alarm")
	if answer, took := idle.use(t); answer != server || took > atOnce {
		t.Errorf("the idle connection: %q after %v, want an answer of %s at once", answer, took, server)
	}
	for _, line := range lines(flow.logs(t)) {
		if line != db.name {
			t.Errorf("the flow of UDP was answered with %q, want %s all the time", line, db.name)
		}
	}
}

// While the network is split for longer than the failure detector takes, a connection waits, and
// goes on when the split ends.
func TestConnectionsWaitForASplitToEnd(t *testing.T) {
	db := start(t, 2, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	idle, server := web.keep(t, "db:5432")
	busy, _ := web.keep(t, db.address(t)+":5432")
	answers := make(chan string, 1)

	cut(t, testLab.Hosts[2].Name)
	go func() { answers <- fmt.Sprint(busy.try()) }()
	web.awaitSuspected(t, db.address(t))
	heal(t, testLab.Hosts[2].Name)
	web.reaches(t, "db:5432")
	if answer, took := idle.use(t); answer != server || took > atOnce {
		t.Errorf("the idle connection: %q after %v, want an answer of %s at once", answer, took, server)
	}
	select {
	case got := <-answers:
		if !strings.Contains(got, server) {
			t.Errorf("the request that was sent during the split: %s, want an answer of %s", got, server)
		}
		t.Logf("the request that was sent during the split: %s", got)
	case <-time.After(patience):
		t.Error("the request that was sent during the split has no answer")
	}
}
