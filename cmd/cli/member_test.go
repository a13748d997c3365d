package cli

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPartOfCluster(t *testing.T) {
	run, stateDir := t.TempDir(), t.TempDir()
	check := func(want string) {
		t.Helper()
		wantError(t, partOfCluster(run, stateDir), want)
	}
	check("")
	daemon, err := lockDaemon(run, holder{Kind: kindMachine})
	if err != nil {
		t.Fatal(err)
	}
	unlock := holdLinkerLock(t, stateDir)
	check("") // its linker is the daemon's
	daemon.Close()
	check("this machine is a host of a cluster")
	unlock()
	check("")
	framework, err := lockDaemon(run, holder{Kind: kindFramework})
	if err != nil {
		t.Fatal(err)
	}
	check("does not answer yet")
	framework.Close()
	check("systemctl start tombolo-framework")
}

func holdLinkerLock(t *testing.T, stateDir string) (unlock func()) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(stateDir, "linker"), 0o700); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(filepath.Join(stateDir, "linker", "lock"), unix.O_RDONLY|unix.O_CREAT, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { unix.Close(fd) }
}
