package e2e

import (
	"strings"
	"testing"
)

// The probe's image has no shell. A check in CMD form runs nevertheless, and only its own status counts.
func TestACheckInCMDFormNeedsNoShell(t *testing.T) {
	path := compose(t, "noshell", `
  web: {image: %IMAGE%, command: [serve, "80"], healthcheck: {test: [CMD, /probe, check], interval: 500ms, retries: 2}}
  asker: {image: %IMAGE%, command: [serve, "80"], depends_on: {web: {condition: service_healthy}}}
`)
	up(t, path)
	web := instance(t, "noshell", "web", 1)
	if web.Health != "healthy" || web.Generation != 1 {
		t.Errorf("web is %q and has generation %d, want it healthy at once: %s", web.Health, web.Generation, web.Reason)
	}
	if failed := upFails(t, compose(t, "noshellsick", `
  web: {image: %IMAGE%, command: [serve, "80"], healthcheck: {test: [CMD, /nothing, here], interval: 500ms, retries: 2}}
`)); !strings.Contains(failed, "/nothing") {
		t.Errorf("up does not name the program that is missing:\n%s", failed)
	}
}
