package linker

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// LockFile returns the path of the file that a running linker locks exclusively with
// flock(2). The lock ends with the linker's process, however that ends.
func LockFile(stateDir string) string { return filepath.Join(stateDir, "lock") }

// lockWait is how long to wait for a linker that was killed to release its lock.
const lockWait = 2 * time.Second

// lock makes sure that only one linker uses the state folder. Closing the file
// releases the lock.
func lock(stateDir string) (*os.File, error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(LockFile(stateDir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for late := time.Now().Add(lockWait); ; time.Sleep(lockWait / 40) {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return f, nil
		}
		if time.Now().After(late) {
			f.Close()
			return nil, fmt.Errorf("another linker runs with the state folder %s: stop it, or choose another folder with --state-dir", stateDir)
		}
	}
}
