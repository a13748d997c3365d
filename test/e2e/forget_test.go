package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tombolo/linker/api"
)

// A host that is alive is not forgotten. One that died is: it leaves the list, and its block is
// free. When its machine comes back, it gets another ID, and its new containers have names.
func TestAForgottenHostComesBackAsAnother(t *testing.T) {
	web := start(t, 0, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	gone := testLab.Hosts[2]
	before := hostState(t, gone.Name, api.HostAlive)
	if _, err := tombolo.Must(t.Context(), "host", "forget", gone.Name); err == nil || !strings.Contains(err.Error(), "is alive") {
		t.Errorf("forgetting a host that is alive ended with %v, want an error that says so", err)
	}
	kill(t, gone.Name)
	hostState(t, gone.Name, api.HostSuspended)
	if out, err := tombolo.Must(t.Context(), "host", "forget", gone.Name); err != nil || !strings.Contains(out, before.ID) {
		t.Fatalf("host forget printed %q (%v), want the ID %s", out, err, before.ID)
	}
	if left := hostState(t, before.ID, api.HostLeft); left.Name != gone.Name || left.Block4.IsValid() {
		t.Errorf("the host that was forgotten is %+v, want that of %s without a block", left, before.ID)
	}
	startHost(t, gone.Name)
	waitReady(t, gone)
	if back := hostState(t, gone.Name, api.HostAlive); back.ID == before.ID || !back.Block4.IsValid() {
		t.Errorf("the host came back as %+v, want another ID than %s, and a block", back, before.ID)
	}
	start(t, 2, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web.reaches(t, "db:5432")
}

// hostState waits until the first host's linker sees a host with a name or ID in a state, and returns it.
func hostState(t *testing.T, host, state string) (found api.HostState) {
	t.Helper()
	client := api.NewClient(testLab.Hosts[0].LinkerSocket())
	defer client.Close()
	within(t, func(ctx context.Context) error {
		all, err := client.Hosts(ctx)
		if err != nil {
			return err
		}
		for _, h := range all {
			if (h.Name == host || h.ID == host) && h.State == state {
				found = h
				return nil
			}
		}
		return fmt.Errorf("no host %s is %s: %+v", host, state, all)
	})
	return found
}
