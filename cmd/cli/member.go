package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// dyingWait is how long the linker of a daemon that was killed may take to be gone.
const dyingWait = 2 * time.Second

// partOfCluster is an error where this machine is part of a cluster whose framework
// has to be asked: a daemon would be a second cluster on its Engine, which knows
// nothing of the first one's apps.
func partOfCluster(runDir, stateDir string) error {
	h, err := daemonHolder(runDir)
	running := err == nil
	if err != nil && !errors.Is(err, errNoDaemon) {
		return err
	}
	switch {
	case h.Kind == kindFramework && running:
		return fmt.Errorf("the framework of this machine's cluster (process %d) does not answer yet: it starts, or looks for its linker (see: journalctl -u tombolo-framework)", h.PID)
	case h.Kind == kindFramework:
		return fmt.Errorf("the framework of this machine's cluster does not run: start it (systemctl start tombolo-framework); where there is no such cluster any more: rm %s", filepath.Join(runDir, "daemon.pid"))
	case running: // a daemon's linker is its own
		return nil
	}
	return foreignLinker(stateDir)
}

// foreignLinker is an error while a linker runs on this machine. The caller knows
// that no daemon does, whose it could be.
func foreignLinker(stateDir string) error {
	for deadline := time.Now().Add(dyingWait); ; time.Sleep(dyingWait / 40) {
		held, err := lockIsHeld(filepath.Join(stateDir, "linker", "lock"))
		switch {
		case err != nil:
			return fmt.Errorf("look for a linker: %w", err)
		case !held:
			return nil
		case time.Now().After(deadline):
			return errors.New("this machine is a host of a cluster: a linker runs here that is no daemon's. Its framework's API has to be asked, " +
				"by --api or TOMBOLO_API or on the framework's machine; for a cluster of this machine alone, stop the linker first (systemctl stop tombolo-linker)")
		}
	}
}

// lockIsHeld reports whether somebody holds the lock file exclusively.
func lockIsHeld(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, ignoreMissing(err)
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
