package lab

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A lab has a folder of its own in DataDir, because two labs may share DataDir: each in a mount
// namespace with another /run, for example, where neither sees the other's state file. The inits
// of a lab's hosts hold its lock file. A folder whose lock nobody holds was left by a lab
// that has ended, and the next lab removes it.

// newDisk returns the path of a folder for another lab.
func newDisk() string { return filepath.Join(DataDir, strings.ToLower(rand.Text()[:10])) }

func lockPath(disk string) string { return filepath.Join(disk, "lock") }

// makeDisk makes the folder of a lab. Until release is called, it holds the lock in place of
// the inits.
func makeDisk(disk string) (release func(), err error) {
	if err := os.MkdirAll(disk, 0o711); err != nil {
		return nil, err
	}
	lock, err := holdDisk(disk)
	if err != nil {
		return nil, err
	}
	return func() { lock.Close() }, nil
}

// holdDisk shows others that a lab uses the folder, until the file is closed.
func holdDisk(disk string) (*os.File, error) {
	lock, err := os.OpenFile(lockPath(disk), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("hold the disk of the lab: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_SH); err != nil {
		return nil, errors.Join(fmt.Errorf("hold the disk of the lab: %w", err), lock.Close())
	}
	return lock, nil
}

// removeDisks removes the folders in dir that belong to no lab that lives. A folder without a
// lock file is not of this kind, and stays.
func removeDisks(dir string) error {
	locks, err := filepath.Glob(lockPath(filepath.Join(dir, "*")))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range locks {
		errs = append(errs, removeUnheld(path))
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EBUSY) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// removeUnheld removes the folder of a lock that nobody holds.
func removeUnheld(path string) error {
	lock, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil // another lab uses it
	} else if err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	return os.RemoveAll(filepath.Dir(path))
}
