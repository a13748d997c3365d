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

func TestAReaderOfTheLockDoesNotKeepADaemonFromStarting(t *testing.T) {
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
		t.Errorf("the holder is %+v (%v), want this process, %d", h, err, os.Getpid())
	}
}

// `daemon stop` removes the file, which another process may just have opened.
func TestALockIsOnTheFileThatHasThePath(t *testing.T) {
	dir := Dir(t.TempDir())
	old, err := dir.Lock(Holder{Kind: Stopping, StateDir: "/s"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = dir.Lock(Holder{Kind: Machine})
	errortest.Contains(t, err, "the daemon is being stopped")
	late, err := os.Open(old.Name()) // another process opens the file before it is removed
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
		t.Errorf("the new lock is on the removed file: %v", err)
	}
	_, err = dir.Lock(Holder{Kind: Machine})
	errortest.Contains(t, err, "a daemon runs here already")
}

func TestOneProcessAtATimeHoldsTheRunFolder(t *testing.T) {
	dir := Dir(filepath.Join(t.TempDir(), "run"))
	if _, err := dir.Holder(); !errors.Is(err, ErrFree) {
		t.Errorf("before the lock: got error %v, want %v", err, ErrFree)
	}
	lock, err := dir.Lock(Holder{Kind: Machine, StateDir: "/x"})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := dir.Holder(); h.PID != os.Getpid() || err != nil {
		t.Errorf("the holder is process %d (%v), want %d", h.PID, err, os.Getpid())
	}
	_, err = dir.Lock(Holder{Kind: Machine, StateDir: "/x"})
	errortest.Contains(t, err, "a daemon runs here already")
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Holder(); !errors.Is(err, ErrFree) {
		t.Errorf("after the lock: got error %v, want %v", err, ErrFree)
	}
}

func TestRemoveLeftByRemovesOnlyTheFilesOfThatProcess(t *testing.T) {
	dir := Dir(t.TempDir())
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(dir.API(), "")
	write(dir.LockFile(), "77\ncluster\n/s\n/c\n")
	if err := dir.RemoveLeftBy(76); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir.API()); err != nil {
		t.Errorf("the files of process 77 were removed as those of 76: %v", err)
	}
	for range 2 { // the second time there is nothing left
		if err := dir.RemoveLeftBy(77); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir.API(), dir.LockFile()} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was not removed (%v)", path, err)
		}
	}
	lock, err := dir.Lock(Holder{Kind: Cluster})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := dir.RemoveLeftBy(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir.LockFile()); err != nil {
		t.Errorf("the files of a process that holds the lock were removed: %v", err)
	}
}
