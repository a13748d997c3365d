package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Who only looks at the lock does not keep a daemon from starting.
func TestLockThatIsLookedAt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "daemon.pid")
	writeFile(t, path, "77\nmachine\n/s\n\n")
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(reader.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(lockWait/10, func() { reader.Close() })
	lock, err := lockDaemon(dir, holder{Kind: kindMachine})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if h, err := daemonHolder(dir); err != nil || h.PID != os.Getpid() {
		t.Errorf("holder %+v, %v", h, err)
	}
}

// A lock file that a `daemon stop` removes is nobody's lock.
func TestLockThatIsRemoved(t *testing.T) {
	dir := t.TempDir()
	old, err := lockDaemon(dir, holder{Kind: kindStopping, StateDir: "/s"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockDaemon(dir, holder{Kind: kindMachine})
	wantError(t, err, "the daemon is being stopped")
	late, err := os.Open(old.Name()) // before it is removed
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if err := os.Remove(old.Name()); err != nil {
		t.Fatal(err)
	}
	old.Close()
	lock, err := lockDaemon(dir, holder{Kind: kindMachine})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(late.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("the removed file is locked: %v", err)
	}
	_, err = lockDaemon(dir, holder{Kind: kindMachine})
	wantError(t, err, "a daemon runs here already")
}
