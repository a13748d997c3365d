package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the path of the tombolo binary, and probe that of the program for the containers.
var binary, probe string

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tombolo-machine")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary, probe = filepath.Join(dir, "tombolo"), filepath.Join(dir, "probe")
	if err := errors.Join(os.Chmod(dir, 0o755), provideBinary(), goBuild(probe, "tombolo/test/e2e/probe")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// provideBinary puts the binary where the user nobody may run it too.
func provideBinary() error {
	built := os.Getenv("TOMBOLO_BINARY")
	if built == "" {
		return goBuild(binary, "tombolo/cmd/tombolo")
	}
	if out, err := exec.Command("install", "-m", "0755", built, binary).CombinedOutput(); err != nil {
		return fmt.Errorf("install %s: %w: %s", built, err, out)
	}
	return nil
}

func goBuild(out, pkg string) error {
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", out, pkg)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, b)
	}
	return nil
}
