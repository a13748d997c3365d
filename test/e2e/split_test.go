package e2e

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
	"tombolo/linker/record"
)

// The longest times that the failure detector (linker/gossip) and the repair of the catalog
// may take on a busy machine.
const (
	deadWithin = 10 * time.Second
	healWithin = 10 * time.Second
)

// twoOfDB starts db.1 on the first host, db.2 on the third, and on the second an asker that sees
// both.
func twoOfDB(t *testing.T) (near, far, asker container) {
	t.Helper()
	near = start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	far = start(t, 2, spec{app: "shop", service: "db", flags: []string{"--label", record.LabelSlot + "=2"}, args: []string{"serve", "5432"}})
	asker = start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	asker.sees(t, "tasks.db", near.address(t), far.address(t))
	return near, far, asker
}

func TestDeadHostLeavesDNS(t *testing.T) {
	near, _, asker := twoOfDB(t)
	kill(t, testLab.Hosts[2].Name)
	asker.soonSees(t, deadWithin, "tasks.db", near.address(t))
}

// soonSees checks that sees takes no longer than bound.
func (c container) soonSees(t *testing.T, bound time.Duration, name string, want ...string) {
	t.Helper()
	began := time.Now()
	c.sees(t, name, want...)
	took := time.Since(began).Round(time.Millisecond)
	if took > bound {
		t.Errorf("%s saw the addresses of %s after %v, want at most %v", c.name, name, took, bound)
	}
	t.Logf("%s saw the addresses of %s after %v", c.name, name, took)
}

// When the network splits, each side has the names of the containers that it still reaches, and no
// others. After it heals, both sides know what happened on either. No connection breaks, and no
// container is replaced.
func TestSplitAndHeal(t *testing.T) {
	file := compose(t, "split", `
  web: {image: %IMAGE%, command: [serve, "80"], deploy: {replicas: 3}}
`)
	up(t, file)
	before := whole(t, "split", 3)
	near, far, asker := twoOfDB(t)
	alone := start(t, 2, spec{app: "shop", service: "tool", args: []string{"serve", "80"}})
	alone.sees(t, "tasks.db", near.address(t), far.address(t))
	holders := []container{
		start(t, 1, spec{app: "shop", service: "holder", args: []string{"hold", near.address(t) + ":5432"}}),
		start(t, 2, spec{app: "shop", service: "holder", args: []string{"hold", far.address(t) + ":5432"}}),
	}

	cut(t, testLab.Hosts[2].Name)
	asker.soonSees(t, deadWithin, "tasks.db", near.address(t))
	alone.soonSees(t, deadWithin, "tasks.db", far.address(t))
	asker.reaches(t, "db:5432")
	alone.reaches(t, "db:5432")
	newcomers := []container{
		start(t, 1, spec{app: "shop", service: "late", args: []string{"serve", "80"}}),
		start(t, 2, spec{app: "shop", service: "late", args: []string{"serve", "80"}}),
	}
	asker.sees(t, "tasks.late", newcomers[0].address(t))
	alone.sees(t, "tasks.late", newcomers[1].address(t))

	heal(t, testLab.Hosts[2].Name)
	for _, c := range []container{asker, alone} {
		c.soonSees(t, healWithin, "tasks.db", near.address(t), far.address(t))
		c.soonSees(t, healWithin, "tasks.late", newcomers[0].address(t), newcomers[1].address(t))
		c.reaches(t, near.address(t)+":5432")
		c.reaches(t, far.address(t)+":5432")
	}
	for _, h := range holders {
		if err := exchanges(t, h); err != nil {
			t.Errorf("%s lost its connection: %v: %s", h.name, err, h.logs(t))
		}
	}
	sameContainers(t, before, whole(t, "split", 3))
}

// sameContainers checks that no container was replaced.
func sameContainers(t *testing.T, before, after []api.Instance) {
	t.Helper()
	for _, i := range after {
		if !slices.ContainsFunc(before, func(b api.Instance) bool { return b.Container == i.Container }) {
			t.Errorf("%s.%d on %s was replaced", i.Service, i.Slot, i.Host)
		}
	}
}

// cut disconnects a host from the others until heal, with `tombolo lab`.
func cut(t *testing.T, host string) {
	t.Helper()
	if _, err := tombolo.Must(t.Context(), "lab", "partition", host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { heal(t, host) }) // the other tests need all hosts
}

func heal(t *testing.T, host string) {
	t.Helper()
	if _, err := tombolo.Must(context.WithoutCancel(t.Context()), "lab", "heal", host); err != nil {
		t.Fatal(err)
	}
}

// While the master, the agents, the framework and all linkers are stopped, a connection between two
// hosts works on. When they run again, they adopt the running containers.
func TestConnectionsNeedNoControl(t *testing.T) {
	file := compose(t, "plane", `
  db: {image: %IMAGE%, command: [serve, "5432"]}
  holder: {image: %IMAGE%, command: [hold, "db:5432"], depends_on: [db]}
`)
	up(t, file)
	before := whole(t, "plane", 2)
	if before[0].Host == before[1].Host {
		t.Fatalf("both instances run on %s, want two hosts: %+v", before[0].Host, before)
	}
	holder := instance(t, "plane", "holder", 1)
	h, err := testLab.Host(holder.Host)
	if err != nil {
		t.Fatal(err)
	}
	held := container{host: *h, name: holder.Container}

	stopControlPlane(t)
	// After this time linkers consider each other dead.
	for began := time.Now(); time.Since(began) < deadWithin; {
		if err := exchanges(t, held); err != nil {
			t.Fatalf("the connection broke: %v: %s", err, held.logs(t))
		}
	}
	resumeControlPlane(t)
	for _, h := range testLab.Hosts {
		waitReady(t, h)
	}
	sameContainers(t, before, whole(t, "plane", 2))
	if err := exchanges(t, held); err != nil {
		t.Errorf("the connection broke: %v: %s", err, held.logs(t))
	}
	within(t, func(ctx context.Context) error {
		if out, err := inInstance(ctx, holder, "dial", "db:5432"); err != nil {
			return fmt.Errorf("a new connection to db: %w: %s", err, out)
		}
		return nil
	})
}

// stopControlPlane stops all its processes with SIGSTOP. They do not answer, and since none ends,
// none is started again.
func stopControlPlane(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { resumeControlPlane(t) })
	if err := syscall.Kill(testLab.Control.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, h := range testLab.Hosts {
		inHost(t, h, append([]string{"kill", "-STOP"}, linkerProcesses(t, h)...)...) // the supervisor first, so that it cannot replace its child
	}
}

func resumeControlPlane(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(testLab.Control.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, h := range testLab.Hosts {
		signalLinker(t, h, "-CONT")
	}
}

func signalLinker(t *testing.T, h lab.Host, signal string) {
	t.Helper()
	// kill may find that the child has already ended with its supervisor.
	_ = h.Command(append([]string{"kill", signal}, linkerProcesses(t, h)...)...).Run()
}
