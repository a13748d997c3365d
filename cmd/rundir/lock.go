package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Kind is what the holder of a run folder is.
type Kind string

// The kinds of holders.
const (
	Machine   Kind = "machine"   // a daemon whose cluster is this machine and whose linker is its child
	Cluster   Kind = "cluster"   // a daemon with a cluster file; it starts no linker
	Framework Kind = "framework" // the framework of a real cluster
	Stopping  Kind = "stopping"  // `daemon stop`, while it removes what a Machine daemon left
)

// Holder describes a process that holds, or last held, the lock of a run folder.
type Holder struct {
	PID      int
	Kind     Kind // "" if an older release wrote the lock
	StateDir string
	Cluster  string // the cluster file of a Cluster daemon
}

var (
	// ErrFree is Holder's error while no process holds the lock.
	ErrFree = errors.New("no daemon runs here (tombolo up starts one)")

	// ErrUnnamed is Holder's error while the process that holds the lock has not yet
	// written what it is.
	ErrUnnamed = errors.New("the lock does not name the process that holds it")
)

// lockWait bounds how long Lock retries while another process only reads the lock.
const lockWait = time.Second

// Lock takes the lock of the run folder and writes h into it, with the number of this
// process. The kernel releases the lock when the process ends; the text stays. Closing
// the file releases it too. The error of a folder that is taken says who holds it.
func (d Dir) Lock(h Holder) (*os.File, error) {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	f, err := d.takeLock()
	if err != nil {
		return nil, err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n%s\n%s\n%s\n", os.Getpid(), h.Kind, h.StateDir, h.Cluster)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), f.Close())
	}
	return f, nil
}

// Holder returns the process that holds the lock. With ErrFree it returns the one that
// held it last, or the zero Holder if there was none.
func (d Dir) Holder() (Holder, error) {
	f, err := os.Open(d.LockFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Holder{}, ErrFree
	}
	if err != nil {
		return Holder{}, err
	}
	defer f.Close() // this also releases the lock that readHolder takes
	return readHolder(f, unix.LOCK_SH)
}

// RemoveLeftBy removes the files that the daemon with this number left when it was
// killed. It removes nothing if another process has held the lock since.
func (d Dir) RemoveLeftBy(pid int) error {
	f, err := os.Open(d.LockFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := readHolder(f, unix.LOCK_EX)
	if errors.Is(err, ErrFree) && h.PID == pid {
		return remove(d.API(), d.Master(), d.LockFile())
	}
	if errors.Is(err, ErrFree) || errors.Is(err, ErrUnnamed) {
		return nil
	}
	return err
}

// InTheWay says why no other daemon can start while h holds the lock.
func (h Holder) InTheWay() error {
	switch h.Kind {
	case Stopping:
		return fmt.Errorf("the daemon is being stopped (process %d); try again in a moment", h.PID)
	case Framework:
		return fmt.Errorf("the framework of a cluster runs here already (process %d; to stop it: systemctl stop tombolo-framework)", h.PID)
	default:
		return fmt.Errorf("a daemon runs here already (process %d; to stop it: tombolo daemon stop)", h.PID)
	}
}

// takeLock retries while the process in the way has not written what it is: a process
// that reads the lock holds it for a moment, and so does one that has just taken it.
func (d Dir) takeLock() (*os.File, error) {
	for deadline := time.Now().Add(lockWait); ; time.Sleep(lockWait / 100) {
		f, err := tryLock(d.LockFile())
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return f, err
		}
		other, herr := d.Holder()
		switch {
		case herr == nil:
			return nil, other.InTheWay()
		case time.Now().After(deadline):
			return nil, err
		}
	}
}

// tryLock locks the file that has the path now, because a daemon that stops removes a
// file that another process may just have opened. unix.EWOULDBLOCK asks to retry.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := lockCurrent(f, path); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

func lockCurrent(f *os.File, path string) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	locked, err := f.Stat()
	if err != nil {
		return err
	}
	current, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || !os.SameFile(locked, current) {
		return fmt.Errorf("another process removed the file: %w", unix.EWOULDBLOCK)
	}
	return nil
}

// readHolder tries to lock f, LOCK_SH or LOCK_EX, and reads who holds it, with the
// errors of Dir.Holder.
func readHolder(f *os.File, how int) (Holder, error) {
	locked := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if locked != nil && !errors.Is(locked, unix.EWOULDBLOCK) {
		return Holder{}, fmt.Errorf("lock %s: %w", f.Name(), locked)
	}
	text, err := os.ReadFile(f.Name())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Holder{}, err
	}
	h, ok := parseHolder(string(text))
	switch {
	case locked == nil:
		return h, ErrFree
	case !ok:
		return Holder{}, fmt.Errorf("%s: %w", f.Name(), ErrUnnamed)
	}
	return h, nil
}

// parseHolder reads the four lines that Lock writes. ok is false unless they start
// with the number of a process.
func parseHolder(text string) (h Holder, ok bool) {
	lines := append(strings.Split(text, "\n"), "", "", "", "")
	pid, err := strconv.Atoi(lines[0])
	if err != nil || pid <= 0 {
		return Holder{}, false
	}
	return Holder{PID: pid, Kind: Kind(lines[1]), StateDir: lines[2], Cluster: lines[3]}, true
}
