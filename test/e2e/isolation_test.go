package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tombolo/linker/record"
)

// Containers of the overlay reach a container on one of Docker's own networks by its published
// ports only. That container reaches no container of the overlay.
func TestDockersOwnNetworksStayApart(t *testing.T) {
	inside := start(t, 0, spec{app: "apart", service: "web", args: []string{"serve", "80"}})
	h := testLab.Hosts[0]
	plain := container{host: h, name: "apart-plain"}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if out, err := docker(ctx, h, "rm", "-f", plain.name); err != nil {
			t.Errorf("remove %s: %v: %s", plain.name, err, out)
		}
	})
	if out, err := docker(t.Context(), h, "run", "-d", "--name", plain.name, "-p", "18080:80", image, "serve", "80"); err != nil {
		t.Fatalf("start %s: %v: %s", plain.name, err, out)
	}
	addr, err := docker(t.Context(), h, "inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", plain.name)
	if err != nil || addr == "" {
		t.Fatalf("address of %s: %v: %q", plain.name, err, addr)
	}
	inside.reaches(t, fmt.Sprintf("%s:18080", h.Underlay))
	inside.refuses(t, addr+":80")
	plain.refuses(t, inside.address(t)+":80")
}

// Two containers with the same slot and generation both answer to its names. If their generations
// differ, only the higher one does, on any host.
func TestTheHighestGenerationOfASlotAnswers(t *testing.T) {
	asker := start(t, 0, spec{app: "slots", service: "web", args: []string{"serve", "80"}})
	second := func(host int, generation string) container {
		return start(t, host, spec{app: "slots", service: "db", args: []string{"serve", "80"},
			flags: []string{"--label", record.LabelGeneration + "=" + generation}})
	}
	a, b := second(1, "7"), second(2, "7")
	asker.sees(t, "tasks.db", a.address(t), b.address(t))
	c := second(0, "8")
	asker.sees(t, "tasks.db", c.address(t))
}

// sees waits until a look-up in the container gives exactly these IPv4 addresses.
func (c container) sees(t *testing.T, name string, want ...string) {
	t.Helper()
	slices.Sort(want)
	within(t, func(ctx context.Context) error {
		out, err := c.exec(ctx, "lookup", name)
		got := slices.DeleteFunc(strings.Fields(out), func(a string) bool { return strings.Contains(a, ":") })
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("%s looks up %s: %v, want %v: %w", c.name, name, got, want, err)
		}
		return nil
	})
}
