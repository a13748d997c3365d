package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
)

// An Engine that stops also stops its containers. Their instances are replaced, and the instances on
// the other hosts are not.
func TestDockerStopsMidWay(t *testing.T) {
	file := compose(t, "engine", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    deploy: {replicas: 3}
`)
	up(t, file)
	h := testLab.Hosts[0]
	before := whole(t, "engine", 3)
	restartEngine(t, h, "-TERM")
	for _, i := range before {
		if i.Host == h.Name {
			awaitInstance(t, "engine", i.Service, i.Slot, func(now api.Instance) bool {
				return now.State == api.StateUp && now.Container != i.Container
			})
		}
	}
	for _, now := range whole(t, "engine", 3) {
		for _, i := range before {
			if now.Slot == i.Slot && i.Host != h.Name && now.Container != i.Container {
				t.Errorf("web.%d was on %s and was replaced", i.Slot, i.Host)
			}
		}
	}
}

// The Engine of one host is killed while containers start on it. In the end each instance runs once.
func TestDockerKilledMidDeploy(t *testing.T) {
	upMidway(t, "midway")
	if got := containers(t, "midway"); len(got) >= 7 {
		t.Fatalf("all containers had been started before the Engine was killed: %v", got)
	}
	restartEngine(t, testLab.Hosts[1], "-KILL")
	whole(t, "midway", 7)
}

// restartEngine ends a host's Engine with a signal and waits until the next one answers, which the
// host's init starts.
func restartEngine(t *testing.T, h lab.Host, signal string) {
	t.Helper()
	before := inHost(t, h, "pgrep", "-x", "dockerd")
	inHost(t, h, "kill", signal, before)
	within(t, func(ctx context.Context) error {
		now, err := h.Command("pgrep", "-x", "dockerd").Output()
		if err != nil || strings.TrimSpace(string(now)) == before {
			return fmt.Errorf("dockerd of %s is still %s: %w", h.Name, before, err)
		}
		_, err = docker(ctx, h, "version")
		return err
	})
}
