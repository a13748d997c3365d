package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// killWait bounds how long a killed process may take to end. The init of a host ends
// only after every process of its PID namespace.
const killWait = 20 * time.Second

// kill ends this very process with SIGKILL and waits for its end.
func (p Process) kill() error { return p.end(unix.SIGKILL, killWait) }

// stop asks the process to end with SIGTERM, and kills it after grace.
func (p Process) stop(grace time.Duration) error {
	if err := p.end(unix.SIGTERM, grace); err == nil {
		return nil
	}
	return p.kill()
}

func (p Process) end(sig unix.Signal, wait time.Duration) error {
	if !p.Alive() {
		return nil
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return fmt.Errorf("open process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	if !p.Alive() { // another process got the number before it was opened
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", p.PID, err)
	}
	n, err := pollReadable(fd, wait)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("process %d still runs %s after %s", p.PID, wait, sig)
	}
	return nil
}

// pollReadable waits until fd is readable, as a pidfd is when its process has ended. It
// returns 0 if wait passes first.
func pollReadable(fd int, wait time.Duration) (int, error) {
	deadline := time.Now().Add(wait)
	for {
		ms := int(time.Until(deadline).Milliseconds())
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, max(ms, 0))
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// cgroupTop is the parent of all cgroups of the lab.
const cgroupTop = "/tombolo-lab"

func cgroupParent(host string) string { return cgroupTop + "/" + host }

// removeCgroups removes parent and the cgroup folders below it that dead containers left,
// in every hierarchy of cgroup v1 or the only one of v2. Folders in use stay.
func removeCgroups(parent string) {
	const root = "/sys/fs/cgroup"
	for _, pattern := range []string{root, root + "/*"} {
		tops, _ := filepath.Glob(pattern + parent) // the only error is a malformed pattern
		for _, top := range tops {
			removeEmptyDirs(top)
		}
	}
}

// removeEmptyDirs removes top and the folders below it, deepest first. The kernel refuses
// to remove a cgroup that has a process.
func removeEmptyDirs(top string) {
	var dirs []string
	_ = filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	slices.Reverse(dirs)
	for _, d := range dirs {
		_ = os.Remove(d)
	}
}
