package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holder is who has the run folder that the control daemon needs, or had it last:
// a daemon of this machine's own, a cluster's framework, or a lab's control daemon.
// The daemon writes it into its lock, a line each.
type holder struct {
	pid   int
	kind  string // "machine", "cluster", "framework" or "stopping"
	alive bool   // it holds the lock
}

func runFile(name string) string { return filepath.Join(filepath.Dir(APISocket), name) }

// readHolder reads the daemon's lock; the zero holder is nobody. Looking takes the
// lock for a moment, which a daemon that starts just then knows to wait out.
func readHolder() (holder, error) {
	f, err := os.Open(runFile("daemon.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return holder{}, nil
	}
	if err != nil {
		return holder{}, fmt.Errorf("read the daemon's lock: %w", err)
	}
	defer f.Close()
	return holderOf(f, unix.LOCK_SH)
}

// holderOf tries to lock f, and reads it.
func holderOf(f *os.File, how int) (holder, error) {
	locked := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if locked != nil && !errors.Is(locked, unix.EWOULDBLOCK) {
		return holder{}, fmt.Errorf("lock %s: %w", f.Name(), locked)
	}
	text, err := os.ReadFile(f.Name())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return holder{}, fmt.Errorf("read the daemon's lock: %w", err)
	}
	return parseHolder(string(text), locked != nil), nil
}

// parseHolder reads what a daemon wrote; one that has not written yet has no number.
func parseHolder(text string, alive bool) holder {
	pid, kind, _ := strings.Cut(text, "\n")
	kind, _, _ = strings.Cut(kind, "\n")
	n, err := strconv.Atoi(pid)
	if err != nil || n < 0 {
		n = 0
	}
	return holder{pid: n, kind: kind, alive: alive}
}

// refuse is an error while somebody else than the lab's control daemon, whose
// number is control, serves the API: `tombolo up` would go to him.
func (h holder) refuse(control int) error {
	switch {
	case !h.alive || h.pid == control && h.pid != 0:
		return nil
	case h.kind == "framework":
		return fmt.Errorf("a cluster's framework runs here (process %d) and serves %s, as a lab would (first: systemctl stop tombolo-framework)", h.pid, APISocket)
	}
	return fmt.Errorf("a tombolo daemon runs here (process %d) and serves %s, as a lab would (first: tombolo daemon stop)", h.pid, APISocket)
}

// removeControlFiles removes what the control daemon leaves that was killed. What
// another has made since, or left, is not the lab's.
func removeControlFiles(control int) error {
	f, err := os.Open(runFile("daemon.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the daemon's lock: %w", err)
	}
	defer f.Close()
	h, err := holderOf(f, unix.LOCK_EX)
	if err != nil || h.alive || h.pid != control {
		return err
	}
	for _, name := range []string{"api.sock", "master.sock", "daemon.pid"} {
		if err := os.Remove(runFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
