package daemon

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"tombolo/cmd/errortest"
	"tombolo/cmd/rundir"
	"tombolo/linker"
)

func TestPartOfClusterSaysWhyNoDaemonMayStart(t *testing.T) {
	run, stateDir := rundir.Dir(t.TempDir()), t.TempDir()
	check := func(want string) {
		t.Helper()
		errortest.Contains(t, PartOfCluster(run, stateDir), want)
	}
	check("")
	daemon, err := run.Lock(rundir.Holder{Kind: rundir.Machine})
	if err != nil {
		t.Fatal(err)
	}
	unlock := holdLinkerLock(t, stateDir)
	check("") // the linker is the daemon's
	daemon.Close()
	check("this machine is a host of a cluster")
	unlock()
	check("")
	framework, err := run.Lock(rundir.Holder{Kind: rundir.Framework})
	if err != nil {
		t.Fatal(err)
	}
	check("does not answer yet")
	framework.Close()
	check("systemctl start tombolo-framework")
}

func holdLinkerLock(t *testing.T, stateDir string) (unlock func()) {
	t.Helper()
	if err := os.Mkdir(linkerDir(stateDir), 0o700); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(linker.LockFile(linkerDir(stateDir)), unix.O_RDONLY|unix.O_CREAT, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { unix.Close(fd) }
}
