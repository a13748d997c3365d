package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tombolo/cmd/lab"
)

// SIGTERM to `lab exec`, for example from timeout(1), ends the command in the host.
func TestLabExecPassesSIGTERMOn(t *testing.T) {
	const command = "sleep 86399"
	runs := func() bool { return exec.Command("pgrep", "-fx", command).Run() == nil }
	cmd := exec.CommandContext(t.Context(), tombolo.Binary, append([]string{"lab", "exec", testLab.Hosts[0].Name}, strings.Fields(command)...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, func(context.Context) error {
		if !runs() {
			return errors.New("the command does not run yet")
		}
		return nil
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGTERM) {
		t.Errorf("lab exec ended with exit code %d, want 143", code)
	}
	if runs() {
		t.Error("the command runs on in its host")
	}
}

// A docker in a host asks the host's own Engine, also where the user's environment names another.
func TestLabExecUsesTheHostsEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	if out, err := tombolo.Must(t.Context(), "lab", "exec", testLab.Hosts[0].Name, "docker", "info", "--format", "{{.DockerRootDir}}"); err != nil {
		t.Errorf("lab exec %s docker info: %v: %s", testLab.Hosts[0].Name, err, out)
	}
}

// A lab has a folder of its own, so that the end of another lab on this disk does not touch it.
func TestALabHasAFolderOfItsOwn(t *testing.T) {
	if dir := filepath.Dir(testLab.Disk); dir != lab.DataDir {
		t.Errorf("the lab's folder is %s, want one in %s", testLab.Disk, lab.DataDir)
	}
	for _, h := range testLab.Hosts {
		if _, err := os.Stat(filepath.Join(h.DataDir(), "docker")); err != nil || filepath.Dir(h.DataDir()) != testLab.Disk {
			t.Errorf("the data of %s are in %s, want a folder with them in %s: %v", h.Name, h.DataDir(), testLab.Disk, err)
		}
	}
	lock, err := os.Open(filepath.Join(testLab.Disk, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("another lab could take this one's folder: locking it returned %v", err)
	}
}
