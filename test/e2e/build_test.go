package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What has build: is built on this machine and reaches the hosts through the lab's
// registry; when its source changes, `up` rolls it out.
func TestBuild(t *testing.T) {
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
				t.Errorf("web.%d: %v:\n%s", i.Slot, err, out)
			}
		}
	}
	build("first")
	other := instance(t, "built", "other", 1).Container
	build("second")
	if instance(t, "built", "other", 1).Container != other {
		t.Error("what did not change was replaced")
	}
	web := instance(t, "built", "web", 1).Container
	build("second")
	if instance(t, "built", "web", 1).Container != web {
		t.Error("a build that changes nothing replaces")
	}
}
