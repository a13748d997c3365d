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

// A service waits until what it depends on is completed, and healthy.
func TestDependsOn(t *testing.T) {
	file := compose(t, "depends", `
  setup: {image: %IMAGE%, command: [end, "0"], restart: "no"}
  db:
    image: %PATIENT%
    command: [serve, "5432"]
    environment: {SICK: "1"}
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
		t.Errorf("web does not wait: %+v", web)
	}
	if setup := instance(t, "depends", "setup", 1); setup.State != api.StateDone {
		t.Errorf("setup is %s", setup.State)
	}
	if out, err := inInstance(t.Context(), db, "well"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	up(t, file)
	web := instance(t, "depends", "web", 1)
	if !started(t, db).Before(started(t, web)) {
		t.Error("web started before db")
	}
}

// A dependency that fails for good ends up with its last words.
func TestDependencyFails(t *testing.T) {
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

// What is unhealthy is shown so and leaves every answer, until it is well again.
func TestUnhealthyLeavesDNS(t *testing.T) {
	up(t, compose(t, "ward", `
  web: {image: %PATIENT%, command: [serve, "80"], deploy: {replicas: 2}}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`))
	sick, healthy := instance(t, "ward", "web", 1), instance(t, "ward", "web", 2)
	asker := instance(t, "ward", "asker", 1)
	resolves := func(want ...string) {
		t.Helper()
		within(t, func(ctx context.Context) error { return finds(ctx, asker, "web", want...) })
	}
	resolves(sick.Address, healthy.Address)
	if out, err := inInstance(t.Context(), sick, "sick"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	awaitInstance(t, "ward", "web", 1, func(i api.Instance) bool { return i.State == api.StateUnhealthy && i.Container == sick.Container })
	resolves(healthy.Address)
	if out, err := tombolo.Must(t.Context(), "ps", "-p", "ward"); err != nil || !strings.Contains(out, "unhealthy") {
		t.Errorf("ps: %v:\n%s", err, out)
	}
	if out, err := inInstance(t.Context(), sick, "well"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	resolves(sick.Address, healthy.Address)
	allUp(t, "ward", 3)
}

// finds is nil when a look-up in the asker gives just these IPv4 addresses.
func finds(ctx context.Context, asker api.Instance, name string, want ...string) error {
	out, err := inInstance(ctx, asker, "lookup", name)
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	got := slices.DeleteFunc(strings.Fields(out), func(a string) bool { return strings.Contains(a, ":") })
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s is %v, want %v", name, got, want)
	}
	return nil
}

// instance is one instance of an app as ps shows it.
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

// awaitInstance waits until one instance is as wanted.
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

// started is when the Engine started an instance's process.
func started(t *testing.T, i api.Instance) time.Time {
	t.Helper()
	h, err := testLab.Host(i.Host)
	if err != nil {
		t.Fatal(err)
	}
	out, err := docker(t.Context(), *h, "inspect", "-f", "{{.State.StartedAt}}", i.Container)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	at, err := time.Parse(time.RFC3339Nano, out)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
