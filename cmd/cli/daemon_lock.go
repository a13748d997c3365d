package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errNoDaemon says that there is nothing to ask or to stop.
var errNoDaemon = errors.New("no daemon runs here (tombolo up starts one)")

// Whose the API of a run folder is.
const (
	kindMachine   = "machine"   // a daemon whose cluster is this machine, and whose linker is its child
	kindCluster   = "cluster"   // a daemon with a cluster file: linkers are others'
	kindFramework = "framework" // a framework, with a real cluster
	kindStopping  = "stopping"  // nobody's: a `daemon stop` takes down what a kindMachine left
)

// lockWait bounds how long a lock is tried for that somebody only looks at.
const lockWait = time.Second

// holder is a process that holds, or last held, a run folder.
type holder struct {
	PID      int
	Kind     string
	StateDir string
	Cluster  string // of a kindCluster: its file
}

// lockDaemon takes the lock that there is one daemon of, and writes into it who
// holds it. The kernel lets go of it when the process ends; what it says stays.
func lockDaemon(runDir string, h holder) (*os.File, error) {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	f, err := takeLock(runDir)
	if err != nil {
		return nil, err
	}
	err = errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintf("%d\n%s\n%s\n%s\n", os.Getpid(), h.Kind, h.StateDir, h.Cluster)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), f.Close())
	}
	return f, nil
}

// takeLock tries again while whoever is in the way has not said that he stays: one
// who reads the lock holds it for a moment, and so does one who has just taken it.
func takeLock(runDir string) (*os.File, error) {
	for deadline := time.Now().Add(lockWait); ; time.Sleep(lockWait / 100) {
		f, err := tryLock(filepath.Join(runDir, "daemon.pid"))
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return f, err
		}
		other, herr := daemonHolder(runDir)
		switch {
		case herr == nil:
			return nil, other.inTheWay()
		case time.Now().After(deadline):
			return nil, err
		}
	}
}

// tryLock locks the file that has the path now: a daemon that is stopped removes
// the one that somebody may just have opened. unix.EWOULDBLOCK says to try again.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	mine, err := f.Stat()
	there, terr := os.Stat(path)
	if err := errors.Join(err, ignoreMissing(terr)); err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), f.Close())
	}
	if terr != nil || !os.SameFile(mine, there) {
		return nil, errors.Join(fmt.Errorf("lock %s: it was removed meanwhile: %w", path, unix.EWOULDBLOCK), f.Close())
	}
	return f, nil
}

// inTheWay says why there cannot be another daemon now.
func (h holder) inTheWay() error {
	switch h.Kind {
	case kindStopping:
		return fmt.Errorf("the daemon is being stopped (process %d)", h.PID)
	case kindFramework:
		return fmt.Errorf("the framework of a cluster runs here already (process %d)", h.PID)
	}
	return fmt.Errorf("a daemon runs here already (process %d)", h.PID)
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// daemonHolder returns who holds the lock. With errNoDaemon it is who held it last:
// the zero holder where nobody did.
func daemonHolder(runDir string) (holder, error) {
	f, err := os.Open(filepath.Join(runDir, "daemon.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return holder{}, errNoDaemon
	}
	if err != nil {
		return holder{}, err
	}
	defer f.Close()
	lerr := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) // closing f lets go of it
	if lerr != nil && !errors.Is(lerr, unix.EWOULDBLOCK) {
		return holder{}, fmt.Errorf("lock %s: %w", f.Name(), lerr)
	}
	text, err := os.ReadFile(f.Name())
	if err != nil {
		return holder{}, err
	}
	h, err := parseHolder(string(text))
	switch {
	case lerr == nil:
		return h, errNoDaemon
	case err != nil:
		return holder{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return h, nil
}

func parseHolder(text string) (holder, error) {
	lines := append(strings.Split(text, "\n"), "", "", "", "")
	pid, err := strconv.Atoi(lines[0])
	if err != nil || pid <= 0 {
		return holder{}, fmt.Errorf("%q is no process number", lines[0])
	}
	return holder{PID: pid, Kind: lines[1], StateDir: lines[2], Cluster: lines[3]}, nil
}

// daemonAt returns whose the API at target is, as daemonHolder does.
func daemonAt(target string) (holder, error) {
	return daemonHolder(filepath.Dir(strings.TrimPrefix(target, "unix://")))
}

// daemonPID returns the process that holds the lock, or errNoDaemon.
func daemonPID(runDir string) (int, error) {
	h, err := daemonHolder(runDir)
	if err != nil {
		return 0, err
	}
	return h.PID, nil
}

func daemonLog(stateDir string) string { return filepath.Join(stateDir, "daemon.log") }
