package daemon

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/cmd/rundir"
	"tombolo/linker"
)

// dyingWait is how long the linker of a daemon that was killed may take to end.
const dyingWait = 2 * time.Second

// PartOfCluster returns an error that says what to do if this machine is part of a
// cluster that has its framework elsewhere, or here and not answering. A daemon would
// make a second cluster on the same Engine, which knows nothing of the first one's apps.
func PartOfCluster(run rundir.Dir, stateDir string) error {
	h, err := run.Holder()
	running := err == nil
	if err != nil && !errors.Is(err, rundir.ErrFree) {
		return err
	}
	switch {
	case h.Kind == rundir.Framework && running:
		return fmt.Errorf("the framework of this machine's cluster (process %d) does not answer yet: it starts, or waits for its linker (see: journalctl -u tombolo-framework)", h.PID)
	case h.Kind == rundir.Framework:
		return fmt.Errorf("the framework of this machine's cluster does not run: start it (systemctl start tombolo-framework); if that cluster is gone for good: rm %s", run.LockFile())
	case running: // the linker is the daemon's own
		return nil
	}
	return foreignLinker(stateDir)
}

// foreignLinker returns an error while a linker runs on this machine. The caller knows
// that no daemon runs whose linker it could be.
func foreignLinker(stateDir string) error {
	for deadline := time.Now().Add(dyingWait); ; time.Sleep(dyingWait / 40) {
		held, err := lockIsHeld(linker.LockFile(linkerDir(stateDir)))
		switch {
		case err != nil:
			return fmt.Errorf("look for a linker: %w", err)
		case !held:
			return nil
		case time.Now().After(deadline):
			return errors.New("this machine is a host of a cluster: a linker runs here that no daemon started. Ask the API of the cluster's framework, " +
				"with --api or TOMBOLO_API or on the framework's machine; for a cluster of this machine alone, stop the linker first (systemctl stop tombolo-linker)")
		}
	}
}

// lockIsHeld reports whether a process holds the lock file exclusively.
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

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
