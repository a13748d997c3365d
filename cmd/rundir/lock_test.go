package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/cmd/errortest"
)

// Who only looks at the lock does not keep a daemon from starting.
func TestLockThatIsLookedAt(t *testing.T) {
	dir := Dir(t.TempDir())
	path := dir.LockFile()
	if err := os.WriteFile(path, []byte("77\nmachine\n/s\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(reader.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(lockWait/10, func() { reader.Close() })
	lock, err := dir.Lock(Holder{Kind: Machine})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if h, err := dir.Holder(); err != nil || h.PID != os.Getpid() {
		t.Errorf("holder %+v, %v", h, err)
	}
}

// A lock file that a `daemon stop` removes is nobody's lock.
func TestLockThatIsRemoved(t *testing.T) {
	dir := Dir(t.TempDir())
	old, err := dir.Lock(Holder{Kind: Stopping, StateDir: "/s"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = dir.Lock(Holder{Kind: Machine})
	errortest.Contains(t, err, "the daemon is being stopped")
	late, err := os.Open(old.Name()) // before it is removed
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if err := os.Remove(old.Name()); err != nil {
		t.Fatal(err)
	}
	old.Close()
	lock, err := dir.Lock(Holder{Kind: Machine})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(late.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("the removed file is locked: %v", err)
	}
	_, err = dir.Lock(Holder{Kind: Machine})
	errortest.Contains(t, err, "a daemon runs here already")
}

func TestOneDaemonAtATime(t *testing.T) {
	dir := Dir(filepath.Join(t.TempDir(), "run"))
	if _, err := dir.Holder(); !errors.Is(err, ErrFree) {
		t.Errorf("before: %v", err)
	}
	lock, err := dir.Lock(Holder{Kind: Machine, StateDir: "/x"})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := dir.Holder(); h.PID != os.Getpid() || err != nil {
		t.Errorf("held: process %d, %v", h.PID, err)
	}
	_, err = dir.Lock(Holder{Kind: Machine, StateDir: "/x"})
	errortest.Contains(t, err, "a daemon runs here already")
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Holder(); !errors.Is(err, ErrFree) {
		t.Errorf("after: %v", err)
	}
}
