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

// end sends a signal and waits until the last thread of the process has ended, because that one
// closes the files of the process. A pidfd tells so (pidfd_open(2)), and the signal never hits a
// later process with the same number.
func (p Process) end(sig unix.Signal, wait time.Duration) error {
	if !p.Alive() {
		return nil
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	if !p.Alive() { // the number may have passed to another process before fd named it
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", p.PID, err)
	}
	ended, err := readable(fd, wait)
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", p.PID, err)
	}
	if !ended {
		return fmt.Errorf("process %d still runs %s after %s", p.PID, wait, sig)
	}
	_, _ = unix.Wait4(p.PID, nil, unix.WNOHANG, nil) // so that a child of this process leaves no zombie; others are reaped by their parents
	return nil
}

// readable waits until the file can be read, and reports whether that was so in time.
func readable(fd int, wait time.Duration) (bool, error) {
	for deadline := time.Now().Add(wait); ; {
		left := max(time.Until(deadline), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1) //nolint:gosec // a file descriptor
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}

// cgroupTop is the parent of all cgroups of the lab with a folder.
func cgroupTop(disk string) string { return "/tombolo-lab-" + filepath.Base(disk) }

func (h Host) cgroupParent() string { return cgroupTop(h.Disk) + "/" + h.Name }

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
