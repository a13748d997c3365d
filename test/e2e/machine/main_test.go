package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the tombolo that the tests drive, probe what runs in containers.
var binary, probe string

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tombolo-machine")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary, probe = os.Getenv("TOMBOLO_BINARY"), filepath.Join(dir, "probe")
	if binary == "" {
		binary = filepath.Join(dir, "tombolo")
		err = goBuild(binary, "tombolo/cmd/tombolo")
	}
	if err == nil {
		err = goBuild(probe, "tombolo/test/e2e/probe")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func goBuild(out, pkg string) error {
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, b)
	}
	return nil
}
