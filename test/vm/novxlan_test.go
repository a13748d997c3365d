package vm

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bootTimeout bounds the life of a machine. Emulated without KVM on two busy cores, it
// takes about ten seconds.
const bootTimeout = 5 * time.Minute

// boot starts a virtual machine whose only files are the program, as /tombolo, and an
// init that runs it with args and then switches the machine off. It returns everything
// that the machine printed on its console.
func boot(t *testing.T, args ...string) string {
	t.Helper()
	kernel := os.Getenv("TOMBOLO_KERNEL")
	if kernel == "" {
		t.Skip("TOMBOLO_KERNEL does not name a kernel (test/vm/kernel.sh fetches one)")
	}
	console := filepath.Join(t.TempDir(), "console")
	ctx, cancel := context.WithTimeout(t.Context(), bootTimeout)
	defer cancel()
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-cpu", "max", "-m", "768", "-display", "none", "-monitor", "none", "-no-reboot", "-net", "none",
		"-serial", "file:"+console, "-kernel", kernel, "-initrd", initrd(t, args),
		"-append", "console=ttyS0 quiet panic=-1")
	out, err := qemu.CombinedOutput()
	printed, readErr := os.ReadFile(console)
	if err != nil || readErr != nil {
		t.Fatalf("the virtual machine failed: %v: %s\nits console: %v: %s", err, out, readErr, printed)
	}
	return string(printed)
}

// initrd packs the machine's files and returns the path of the archive.
func initrd(t *testing.T, args []string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"dev", "proc", "sys", "run", "var", "tmp"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for program, source := range map[string]string{"init": "./init", "tombolo": "../../cmd/tombolo"} {
		build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(root, program), source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v: %s", source, err, out)
		}
	}
	command := strings.Join(append([]string{"/tombolo"}, args...), "\n")
	if err := os.WriteFile(filepath.Join(root, "command"), []byte(command), 0o644); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "initrd")
	var stderr bytes.Buffer
	pack := exec.CommandContext(t.Context(), "cpio", "--quiet", "--create", "--format=newc", "--file="+archive)
	pack.Dir, pack.Stderr = root, &stderr
	pack.Stdin = strings.NewReader("init\ntombolo\ncommand\ndev\nproc\nsys\nrun\nvar\ntmp\n")
	if err := pack.Run(); err != nil {
		t.Fatalf("pack the machine's files: %v: %s", err, &stderr)
	}
	return archive
}

// A linker on a kernel without VXLAN ends at once and says why.
func TestLinkerOnAKernelWithoutVXLAN(t *testing.T) {
	printed := boot(t, "linker", "--host", "h1", "--underlay", "198.18.0.1")
	for _, want := range []string{"kernel has no vxlan support", "init: exit code 1\r"} {
		if !strings.Contains(printed, want) {
			t.Errorf("the machine's console does not say %q:\n%s", want, printed)
		}
	}
}
