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

// Bounds of what the failure detector (gossip.DefaultTiming, on a busy machine) and
// the repair of the catalog take.
const (
	deadWithin = 10 * time.Second
	healWithin = 10 * time.Second
)

// twoOfDB starts db.1 on the first host and db.2 on the third, and an asker on the
// second that sees both.
func twoOfDB(t *testing.T) (near, far, asker container) {
	t.Helper()
	near = start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	far = start(t, 2, spec{app: "shop", service: "db", flags: []string{"--label", record.LabelSlot + "=2"}, args: []string{"serve", "5432"}})
	asker = start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	asker.sees(t, "db", near.address(t), far.address(t))
	return near, far, asker
}

func TestDeadHostLeavesDNS(t *testing.T) {
	near, _, asker := twoOfDB(t)
	kill(t, testLab.Hosts[2].Name)
	asker.soonSees(t, deadWithin, "db", near.address(t))
}

// soonSees is sees within a bound.
func (c container) soonSees(t *testing.T, bound time.Duration, name string, want ...string) {
	t.Helper()
	began := time.Now()
	c.sees(t, name, want...)
	took := time.Since(began).Round(time.Millisecond)
	if took > bound {
		t.Errorf("%s has %s after %v, want %v", c.name, name, took, bound)
	}
	t.Logf("%s has %s after %v", c.name, name, took)
}

// A split leaves both sides what they reach, and no more; what happened on either
// is known on both when it is healed, and nothing is replaced or cut.
func TestSplitAndHeal(t *testing.T) {
	file := compose(t, "split", `
  web: {image: %IMAGE%, command: [serve, "80"], deploy: {replicas: 3}}
`)
	up(t, file)
	before := whole(t, "split", 3)
	near, far, asker := twoOfDB(t)
	alone := start(t, 2, spec{app: "shop", service: "tool", args: []string{"serve", "80"}})
	alone.sees(t, "db", near.address(t), far.address(t))
	holders := []container{
		start(t, 1, spec{app: "shop", service: "holder", args: []string{"hold", near.address(t) + ":5432"}}),
		start(t, 2, spec{app: "shop", service: "holder", args: []string{"hold", far.address(t) + ":5432"}}),
	}

	cut(t, testLab.Hosts[2].Name)
	asker.soonSees(t, deadWithin, "db", near.address(t))
	alone.soonSees(t, deadWithin, "db", far.address(t))
	asker.reaches(t, "db:5432")
	alone.reaches(t, "db:5432")
	newcomers := []container{
		start(t, 1, spec{app: "shop", service: "late", args: []string{"serve", "80"}}),
		start(t, 2, spec{app: "shop", service: "late", args: []string{"serve", "80"}}),
	}
	asker.sees(t, "late", newcomers[0].address(t))
	alone.sees(t, "late", newcomers[1].address(t))

	heal(t, testLab.Hosts[2].Name)
	for _, c := range []container{asker, alone} {
		c.soonSees(t, healWithin, "db", near.address(t), far.address(t))
		c.soonSees(t, healWithin, "late", newcomers[0].address(t), newcomers[1].address(t))
		c.reaches(t, near.address(t)+":5432")
		c.reaches(t, far.address(t)+":5432")
	}
	for _, h := range holders {
		if err := moved(t, h); err != nil {
			t.Errorf("%s lost its connection: %v: %s", h.name, err, h.logs(t))
		}
	}
	sameContainers(t, before, whole(t, "split", 3))
}

// sameContainers checks that nothing was replaced.
func sameContainers(t *testing.T, before, after []api.Instance) {
	t.Helper()
	for _, i := range after {
		if !slices.ContainsFunc(before, func(b api.Instance) bool { return b.Container == i.Container }) {
			t.Errorf("%s.%d on %s was replaced", i.Service, i.Slot, i.Host)
		}
	}
}

// cut and heal pull a host's cable and plug it in again, as `tombolo lab` does.
func cut(t *testing.T, host string) {
	t.Helper()
	if _, err := tombolo.Must(t.Context(), "lab", "partition", host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { heal(t, host) }) // the other tests want a whole lab
}

func heal(t *testing.T, host string) {
	t.Helper()
	if _, err := tombolo.Must(context.WithoutCancel(t.Context()), "lab", "heal", host); err != nil {
		t.Fatal(err)
	}
}

// With the master, the agents, the framework and every linker stopped, a connection
// between two hosts goes on; when they are back, they take up what runs.
func TestConnectionsNeedNoControl(t *testing.T) {
	file := compose(t, "plane", `
  db: {image: %IMAGE%, command: [serve, "5432"]}
  holder: {image: %IMAGE%, command: [hold, "db:5432"], depends_on: [db]}
`)
	up(t, file)
	before := whole(t, "plane", 2)
	if before[0].Host == before[1].Host {
		t.Fatalf("both run on %s: %+v", before[0].Host, before)
	}
	holder := instance(t, "plane", "holder", 1)
	h, err := testLab.Host(holder.Host)
	if err != nil {
		t.Fatal(err)
	}
	held := container{host: *h, name: holder.Container}

	stopControlPlane(t)
	// Longer than the time after which linkers take each other for dead.
	for began := time.Now(); time.Since(began) < deadWithin; {
		if err := moved(t, held); err != nil {
			t.Fatalf("the connection broke: %v: %s", err, held.logs(t))
		}
	}
	resumeControlPlane(t)
	for _, h := range testLab.Hosts {
		waitReady(t, h)
	}
	sameContainers(t, before, whole(t, "plane", 2))
	if err := moved(t, held); err != nil {
		t.Errorf("the connection broke: %v: %s", err, held.logs(t))
	}
	within(t, func(ctx context.Context) error {
		if out, err := inInstance(ctx, holder, "dial", "db:5432"); err != nil {
			return fmt.Errorf("a new connection: %w: %s", err, out)
		}
		return nil
	})
}

// stopControlPlane stops every process of it with SIGSTOP: nothing answers, and
// nobody who would start one anew sees it end.
func stopControlPlane(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { resumeControlPlane(t) })
	if err := syscall.Kill(testLab.Control.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, h := range testLab.Hosts {
		inHost(t, h, append([]string{"kill", "-STOP"}, linkerProcesses(t, h)...)...) // the supervisor first
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
	// The child ends with its supervisor, or by it, perhaps before kill comes to it.
	_ = h.Command(append([]string{"kill", signal}, linkerProcesses(t, h)...)...).Run()
}
