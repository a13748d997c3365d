package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tombolo/framework/api"
)

// A service waits until the services that it depends on are completed or healthy.
func TestServicesWaitForTheirDependencies(t *testing.T) {
	file := compose(t, "depends", `
  setup: {image: %IMAGE%, command: [end, "0"], restart: "no"}
  db:
    image: %CHECKED%
    command: [serve, "5432"]
    environment: {UNHEALTHY: "1"}
    depends_on: {setup: {condition: service_completed_successfully}}
  web:
    image: %IMAGE%
    command: [serve, "80"]
    depends_on: {db: {condition: service_healthy}}
`)
	if _, err := tombolo.Must(t.Context(), "-f", file, "up", "-d"); err != nil {
		t.Fatal(err)
	}
	db := awaitInstance(t, "depends", "db", 1, func(i api.Instance) bool { return i.Health == "unhealthy" })
	if web := instance(t, "depends", "web", 1); web.Container != "" || !strings.Contains(web.Reason, "waits for db to be healthy") {
		t.Errorf("web does not wait for db: %+v", web)
	}
	if setup := instance(t, "depends", "setup", 1); setup.State != api.StateDone {
		t.Errorf("setup is %s, want %s", setup.State, api.StateDone)
	}
	mustProbe(t, db, "healthy")
	up(t, file)
	web := instance(t, "depends", "web", 1)
	if !started(t, db).Before(started(t, web)) {
		t.Error("web started before db")
	}
}

// If a dependency fails for good, `up` ends and shows its last lines.
func TestUpEndsWhenADependencyFails(t *testing.T) {
	failed := upFails(t, compose(t, "undone", `
  setup: {image: %IMAGE%, command: [end, "3"], restart: "no"}
  web:
    image: %IMAGE%
    command: [serve, "80"]
    depends_on: {setup: {condition: service_completed_successfully}}
`))
	for _, want := range []string{"setup.1", "status 3", "ends with 3", "web.1 waiting: waits for setup to be completed"} {
		if !strings.Contains(failed, want) {
			t.Errorf("up does not say %q:\n%s", want, failed)
		}
	}
	if got := containers(t, "undone"); slices.ContainsFunc(got, func(c string) bool { return strings.Contains(c, "web") }) {
		t.Errorf("web was started: %v", got)
	}
}

// An unhealthy instance is shown as such and leaves DNS until it is healthy again.
func TestUnhealthyLeavesDNS(t *testing.T) {
	up(t, compose(t, "recovering", `
  web: {image: %CHECKED%, command: [serve, "80"], deploy: {replicas: 2}}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`))
	unhealthy, healthy := instance(t, "recovering", "web", 1), instance(t, "recovering", "web", 2)
	asker := instance(t, "recovering", "asker", 1)
	resolves := func(want ...string) {
		t.Helper()
		within(t, func(ctx context.Context) error { return finds(ctx, asker, "tasks.web", want...) })
	}
	resolves(unhealthy.Address, healthy.Address)
	mustProbe(t, unhealthy, "unhealthy")
	awaitInstance(t, "recovering", "web", 1, func(i api.Instance) bool { return i.State == api.StateUnhealthy && i.Container == unhealthy.Container })
	resolves(healthy.Address)
	if out, err := tombolo.Must(t.Context(), "ps", "-p", "recovering"); err != nil || !strings.Contains(out, "unhealthy") {
		t.Errorf("ps does not show an unhealthy instance: %v:\n%s", err, out)
	}
	mustProbe(t, unhealthy, "healthy")
	resolves(unhealthy.Address, healthy.Address)
	allUp(t, "recovering", 3)
}

// finds returns nil if a look-up in the asker gives exactly these IPv4 addresses.
func finds(ctx context.Context, asker api.Instance, name string, want ...string) error {
	out, err := inInstance(ctx, asker, "lookup", name)
	if err != nil {
		return fmt.Errorf("look up %s: %w: %s", name, err, out)
	}
	got := slices.DeleteFunc(strings.Fields(out), func(a string) bool { return strings.Contains(a, ":") })
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s has the addresses %v, want %v", name, got, want)
	}
	return nil
}

// instance returns an instance of an app, as ps shows it.
func instance(t *testing.T, app, service string, slot int) api.Instance {
	t.Helper()
	for _, i := range instances(t, app) {
		if i.Service == service && i.Slot == slot {
			return i
		}
	}
	t.Fatalf("%s has no %s.%d", app, service, slot)
	return api.Instance{}
}

// awaitInstance waits until ok accepts an instance, and returns it.
func awaitInstance(t *testing.T, app, service string, slot int, ok func(api.Instance) bool) api.Instance {
	t.Helper()
	var i api.Instance
	within(t, func(context.Context) error {
		if i = instance(t, app, service, slot); !ok(i) {
			return fmt.Errorf("%s.%d is %s, %s: %s", service, slot, i.State, i.Health, i.Reason)
		}
		return nil
	})
	return i
}

// started returns the time when the Engine started an instance's process.
func started(t *testing.T, i api.Instance) time.Time {
	t.Helper()
	h, err := testLab.Host(i.Host)
	if err != nil {
		t.Fatal(err)
	}
	out, err := docker(t.Context(), *h, "inspect", "-f", "{{.State.StartedAt}}", i.Container)
	if err != nil {
		t.Fatalf("start time of %s: %v: %s", i.Service, err, out)
	}
	at, err := time.Parse(time.RFC3339Nano, out)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
