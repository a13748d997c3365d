package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tombolo/framework/api"
	"tombolo/test/cli"
)

// `up` does not wait forever for a service that never becomes healthy. It names the service and
// those that wait for it.
func TestNeverHealthy(t *testing.T) {
	failed := upFails(t, compose(t, "unhealthy", `
  db: {image: %CHECKED%, command: [serve, "5432"], environment: {UNHEALTHY: "1"}}
  web:
    image: %IMAGE%
    command: [serve, "80"]
    depends_on: {db: {condition: service_healthy}}
`))
	for _, want := range []string{"db.1 is unhealthy, and web waits for it: its health check fails with status 1: ", "unhealthy from the start", "db.1 unhealthy", "web.1 waiting: waits for db to be healthy"} {
		if !strings.Contains(failed, want) {
			t.Errorf("up does not say %q:\n%s", want, failed)
		}
	}
}

// An unhealthy instance leaves DNS at once and is replaced after a while.
func TestUnhealthyIsReplaced(t *testing.T) {
	up(t, compose(t, "replaced", `
  web: {image: %CHECKED%, command: [serve, "80"], deploy: {replicas: 2}}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`))
	unhealthy, healthy := instance(t, "replaced", "web", 1), instance(t, "replaced", "web", 2)
	asker := instance(t, "replaced", "asker", 1)
	mustProbe(t, unhealthy, "unhealthy")
	within(t, func(ctx context.Context) error { return finds(ctx, asker, "tasks.web", healthy.Address) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var next api.Instance
	if err := cli.Until(ctx, func() error {
		if next = instance(t, "replaced", "web", 1); next.State != api.StateUp || next.Generation != 2 {
			return fmt.Errorf("web.1 is %s: %s", next.State, next.Reason)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	within(t, func(ctx context.Context) error { return finds(ctx, asker, "tasks.web", healthy.Address, next.Address) })
	if again := instance(t, "replaced", "web", 2); again.Container != healthy.Container {
		t.Errorf("the healthy instance was replaced too: %+v", again)
	}
}
