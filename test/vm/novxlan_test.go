package vm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// boot starts a User-Mode Linux whose disk, read only, holds the program as /tombolo,
// runs that with args, and returns all that was printed.
func boot(t *testing.T, args ...string) string {
	t.Helper()
	kernel, err := exec.LookPath("linux.uml")
	if err != nil {
		t.Skip("no User-Mode Linux here (Debian's package user-mode-linux)")
	}
	root := t.TempDir()
	for _, dir := range []string{"dev", "proc", "sys", "run", "var", "tmp"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for program, source := range map[string]string{"init": "./init", "tombolo": "../../cmd/tombolo"} {
		build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(root, program), source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v: %s", source, err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "command"), []byte(strings.Join(append([]string{"/tombolo"}, args...), "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, kernel,
		"root=/dev/root", "rootfstype=hostfs", "rootflags="+root, "ro", "mem=512M", "uml_dir="+t.TempDir(),
		"quiet", "con=null", "con0=null,fd:1", "init=/init")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// A kernel without VXLAN ends the linker at once, with the reason.
func TestLinkerOnAKernelWithoutVXLAN(t *testing.T) {
	out := boot(t, "linker", "--host", "h1", "--underlay", "198.18.0.1")
	for _, want := range []string{"kernel has no vxlan support", "init: exit code 1\r"} {
		if !strings.Contains(out, want) {
			t.Errorf("the machine printed no %q:\n%s", want, out)
		}
	}
}
