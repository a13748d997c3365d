package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
	"tombolo/test/cli"
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

// With live-restore, containers run on while their Engine restarts. The new Engine tells the linker
// nothing about them when it starts, and not everything when they end: it never revokes their ports.
func TestLiveRestore(t *testing.T) {
	h := testLab.Hosts[0]
	setEngine(t, h, map[string]any{"live-restore": true})
	db := start(t, 1, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 0, spec{app: "shop", service: "web", flags: []string{"--publish", "8097:80"}, args: []string{"serve", "80"}})
	web.reaches(t, "tasks.db:5432")
	process, err := docker(t.Context(), h, "inspect", "-f", "{{.State.Pid}}", web.name)
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []string{"-TERM", "-KILL"} {
		restartEngine(t, h, signal)
		if now, err := docker(t.Context(), h, "inspect", "-f", "{{.State.Pid}}", web.name); err != nil || now != process {
			t.Fatalf("after %s of the Engine, the container's process is %s, and was %s: %v", signal, now, process, err)
		}
		waitReady(t, h)
		web.reaches(t, "tasks.db:5432")
		db.reaches(t, "tasks.web:80")
		inHost(t, testLab.Hosts[2], "bash", "-c", "exec 3<>/dev/tcp/"+h.Underlay.String()+"/8097")
		for _, network := range []string{"udp", "tcp"} {
			web.gets(t, dockerResolver, network, "tasks.db", db.address(t))
		}
		web.ignoresDockersResolver(t, db)
	}
	mustDocker(t, h, "restart", "-t", "0", web.name)
	db.reaches(t, "tasks.web:80")
	restartEngine(t, h, "-KILL")
	mustDocker(t, h, "rm", "-f", web.name)
	// The port is free: a container of another service, which could not share it, gets it.
	start(t, 0, spec{app: "else", service: "other", flags: []string{"--publish", "8097:81"}, args: []string{"serve", "81"}})
	within(t, func(context.Context) error {
		return testLab.Hosts[2].Command("bash", "-c", "exec 3<>/dev/tcp/"+h.Underlay.String()+"/8097").Run()
	})
}

// setEngine restarts a host's Engine with more settings, and without them when the test ends.
func setEngine(t *testing.T, h lab.Host, more map[string]any) {
	t.Helper()
	file := filepath.Join(h.RunDir(), "dockerd.json")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]any{}
	if err := json.Unmarshal(before, &settings); err != nil {
		t.Fatal(err)
	}
	maps.Copy(settings, more)
	after, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience) // the test's own has ended
		defer cancel()
		if err := errors.Join(os.WriteFile(file, before, 0o600), engineRestarts(ctx, h, "-TERM")); err != nil {
			t.Errorf("give %s its Engine's settings back: %v", h.Name, err)
		}
	})
	if err := os.WriteFile(file, after, 0o600); err != nil {
		t.Fatal(err)
	}
	restartEngine(t, h, "-TERM")
	waitReady(t, h)
}

// restartEngine ends a host's Engine with a signal and waits until the next one answers, which the
// host's init starts.
func restartEngine(t *testing.T, h lab.Host, signal string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := engineRestarts(ctx, h, signal); err != nil {
		t.Fatal(err)
	}
}

func engineRestarts(ctx context.Context, h lab.Host, signal string) error {
	out, err := h.Command("pgrep", "-x", "dockerd").Output()
	if err != nil {
		return fmt.Errorf("find the Engine of %s: %w", h.Name, err)
	}
	before := strings.TrimSpace(string(out))
	if out, err := h.Command("kill", signal, before).CombinedOutput(); err != nil {
		return fmt.Errorf("kill the Engine of %s: %w: %s", h.Name, err, out)
	}
	return cli.Until(ctx, func() error {
		now, err := h.Command("pgrep", "-x", "dockerd").Output()
		if err != nil || strings.TrimSpace(string(now)) == before {
			return fmt.Errorf("dockerd of %s is still %s, %w", h.Name, before, cmp.Or(err, errors.New("which has not ended")))
		}
		_, err = docker(ctx, h, "version")
		return err
	})
}
