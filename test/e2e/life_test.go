package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"tombolo/framework/api"
)

// A container that dies is replaced, and its names get the new address.
func TestNamesMoveWithTheInstance(t *testing.T) {
	up(t, compose(t, "mover", `
  web: {image: %IMAGE%, command: [serve, "80"]}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`))
	web, asker := instance(t, "mover", "web", 1), instance(t, "mover", "asker", 1)
	h, err := testLab.Host(web.Host)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := docker(t.Context(), *h, "kill", web.Container); err != nil {
		t.Fatalf("docker kill: %v: %s", err, out)
	}
	again := awaitInstance(t, "mover", "web", 1, func(i api.Instance) bool { return i.State == api.StateUp && i.Container != web.Container })
	if again.Generation <= web.Generation || again.Restarts == 0 || again.Address == web.Address {
		t.Errorf("the new instance needs another generation and address, and a restart.\nbefore: %+v\nafter:  %+v", web, again)
	}
	within(t, func(ctx context.Context) error { return finds(ctx, asker, "tasks.web", again.Address) })
	if out, err := inInstance(t.Context(), asker, "dial", "web:80"); err != nil {
		t.Errorf("asker cannot reach web: %v: %s", err, out)
	}
	if got := containers(t, "mover"); len(got) != 2 {
		t.Errorf("two instances run in the containers %v, want two", got)
	}
}

// `up` with a changed file replaces the services that have changed, and no others.
func TestUpReplacesOnlyWhatHasChanged(t *testing.T) {
	file := compose(t, "changer", `
  web: {image: %IMAGE%, command: [serve, "80"], environment: {COLOUR: red}, deploy: {replicas: 3}}
  asker: {image: %IMAGE%, command: [serve, "80"]}
`)
	up(t, file)
	before := map[string]string{}
	for _, i := range instances(t, "changer") {
		before[fmt.Sprint(i.Service, i.Slot)] = i.Container
	}
	rewrite(t, file, "red", "blue")
	up(t, file)
	for _, i := range allUp(t, "changer", 4) {
		same := before[fmt.Sprint(i.Service, i.Slot)] == i.Container
		if same != (i.Service == "asker") {
			t.Errorf("%s.%d has the same container: %t, want that for asker only", i.Service, i.Slot, same)
		}
		if i.Service != "web" {
			continue
		}
		if out, err := inInstance(t.Context(), i, "facts"); err != nil || !strings.Contains(out, "env COLOUR=blue") {
			t.Errorf("web.%d does not have COLOUR=blue: %v:\n%s", i.Slot, err, out)
		}
	}
	rewrite(t, file, "replicas: 3", "replicas: 1")
	up(t, file)
	asker := instance(t, "changer", "asker", 1)
	within(t, func(ctx context.Context) error {
		return finds(ctx, asker, "tasks.web", instance(t, "changer", "web", 1).Address)
	})
	within(t, func(context.Context) error {
		got := containers(t, "changer")
		if slices.Sort(got); len(got) != 2 {
			return fmt.Errorf("two instances run in the containers %v, want two", got)
		}
		return nil
	})
	if out, err := inInstance(t.Context(), asker, "lookup", "2.web.changer.tombolo.internal"); err == nil {
		t.Errorf("a removed instance still has the address %s", out)
	}
}

// `down` sends the file's stop signal, and SIGKILL after the grace period. `logs -f` shows the
// container's reaction and ends with the app.
func TestStopSignalGraceAndLogs(t *testing.T) {
	up(t, compose(t, "stubborn", `
  web: {image: %IMAGE%, command: [trap], stop_signal: SIGUSR1, stop_grace_period: 2s, init: false}
`))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	logs := exec.CommandContext(ctx, tombolo.Binary, "-p", "stubborn", "logs", "-f")
	out, err := logs.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := logs.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "web.1  | ready" {
		t.Errorf("the first line of logs -f is %q: %v", lines.Text(), lines.Err())
	}
	begin := time.Now()
	if _, err := tombolo.Must(ctx, "-p", "stubborn", "down"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 2*time.Second || took > 9*time.Second {
		t.Errorf("down took %v, want 2s to 9s with a grace period of 2s", took)
	}
	var rest []string
	for lines.Scan() {
		rest = append(rest, lines.Text())
	}
	if len(rest) != 1 || rest[0] != "web.1  | got user defined signal 1" {
		t.Errorf("after ready, logs -f printed %q, want the stop signal", rest)
	}
	if err := logs.Wait(); err != nil {
		t.Errorf("logs -f ended with %v", err)
	}
}
