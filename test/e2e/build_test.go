package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// `up` builds the images of services with build: on this machine, and the hosts pull them from the
// lab's registry. When the source changes, `up` replaces the service.
func TestUpBuildsImages(t *testing.T) {
	file := compose(t, "built", `
  web:
    build:
      context: source
      args: {FROM: tombolo-e2e/probe}
    command: [serve, "80"]
    deploy: {replicas: 2}
  other: {image: %IMAGE%, command: [serve, "80"]}
`)
	source := filepath.Join(filepath.Dir(file), "source")
	if err := os.Mkdir(source, 0o700); err != nil {
		t.Fatal(err)
	}
	build := func(word string) {
		t.Helper()
		text := "ARG FROM\nFROM $FROM\nENV WORD=" + word + "\n"
		if err := os.WriteFile(filepath.Join(source, "Dockerfile"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		up(t, file)
		for _, i := range allUp(t, "built", 3) {
			if i.Service != "web" {
				continue
			}
			if out, err := inInstance(t.Context(), i, "facts"); err != nil || !strings.Contains(out, "env WORD="+word+"\n") {
				t.Errorf("web.%d does not have WORD=%s in its environment: %v:\n%s", i.Slot, word, err, out)
			}
		}
	}
	build("first")
	other := instance(t, "built", "other", 1).Container
	build("second")
	if instance(t, "built", "other", 1).Container != other {
		t.Error("other was replaced although it has not changed")
	}
	web := instance(t, "built", "web", 1).Container
	build("second")
	if instance(t, "built", "web", 1).Container != web {
		t.Error("web was replaced although its build has not changed")
	}
	pushed, err := exec.CommandContext(t.Context(), "docker", "images", "--format", "{{.Repository}}", "--filter", "reference=127.0.0.1:*/built/*").CombinedOutput()
	if err != nil || len(pushed) > 0 {
		t.Errorf("up left names on this machine under which it has pushed images: %v: %s", err, pushed)
	}
}

// Ctrl-C during a build ends the build, and nothing is started.
func TestUpInterruptedWhileItBuilds(t *testing.T) {
	file := compose(t, "unbuilt", `
  other: {image: %IMAGE%, command: [serve, "80"]}
  web: {build: {context: source, args: {FROM: tombolo-e2e/probe}}}
`)
	source := filepath.Join(filepath.Dir(file), "source")
	if err := os.Mkdir(source, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "ARG FROM\nFROM $FROM\nRUN [\"/probe\", \"trap\"]\n" // this never ends
	if err := os.WriteFile(filepath.Join(source, "Dockerfile"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	building := func() error { return exec.Command("pgrep", "-fx", "/probe trap").Run() }
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), tombolo.Binary, "-f", file, "up")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, func(context.Context) error { return building() })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("an interrupted up ends with exit code %d, want 130: %s", code, out.String())
	}
	within(t, func(context.Context) error {
		if building() == nil {
			return errors.New("the build is still running")
		}
		return nil
	})
	if r, err := tombolo.Run(t.Context(), "-p", "unbuilt", "ps"); err != nil || !strings.Contains(r.Stderr, "unbuilt is not up") {
		t.Errorf("the framework knows the app: %v: %s%s", err, r.Stdout, r.Stderr)
	}
}
