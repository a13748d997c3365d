package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tombolo/framework/api"
	"tombolo/test/cli"
)

// What never gets healthy is no reason to wait for ever: up says who it is and who
// waits for it.
func TestNeverHealthy(t *testing.T) {
	failed := upFails(t, compose(t, "ailing", `
  db: {image: %PATIENT%, command: [serve, "5432"], environment: {SICK: "1"}}
  web:
    image: %IMAGE%
    command: [serve, "80"]
    depends_on: {db: {condition: service_healthy}}
`))
	for _, want := range []string{"db.1 is unhealthy, and web waits for it", "db.1 unhealthy", "web.1 waiting: waits for db to be healthy"} {
		if !strings.Contains(failed, want) {
			t.Errorf("up does not say %q:\n%s", want, failed)
		}
	}
}

// What stays unhealthy leaves DNS at once and is replaced after a while.
func TestUnhealthyIsReplaced(t *testing.T) {
	up(t, compose(t, "hospice", `
  web: {image: %PATIENT%, command: [serve, "80"], deploy: {replicas: 2}}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`))
	sick, healthy := instance(t, "hospice", "web", 1), instance(t, "hospice", "web", 2)
	asker := instance(t, "hospice", "asker", 1)
	if out, err := inInstance(t.Context(), sick, "sick"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	within(t, func(ctx context.Context) error { return finds(ctx, asker, "web", healthy.Address) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var next api.Instance
	if err := cli.Until(ctx, func() error {
		if next = instance(t, "hospice", "web", 1); next.State != api.StateUp || next.Generation != 2 {
			return fmt.Errorf("web.1 is %s: %s", next.State, next.Reason)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	within(t, func(ctx context.Context) error { return finds(ctx, asker, "web", healthy.Address, next.Address) })
	if again := instance(t, "hospice", "web", 2); again.Container != healthy.Container {
		t.Errorf("the healthy one was replaced too: %+v", again)
	}
}
