package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"time"

	"golang.org/x/sys/unix"
)

// killWait bounds how long a killed process may take to be gone: a host's init
// goes only after every process of its PID namespace.
const killWait = 20 * time.Second

// kill ends this very process with SIGKILL and waits until it is gone.
func (p Process) kill() error { return p.end(unix.SIGKILL, killWait) }

// stop asks with SIGTERM first and kills what has not gone after grace.
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
	if !p.Alive() { // the number was taken over between the two looks
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
		return fmt.Errorf("process %d is still there %s after %s", p.PID, wait, sig)
	}
	return nil
}

// pollReadable waits for a pidfd: it becomes readable when its process ends.
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

// cgroupTop is the parent of all of the lab's cgroups.
const cgroupTop = "/tombolo-lab"

func cgroupParent(host string) string { return cgroupTop + "/" + host }

// removeCgroups removes the cgroup folders below parent that dead containers
// left, and parent itself: with cgroup v1 in every hierarchy, with v2 in the one.
// Folders that are in use stay.
func removeCgroups(parent string) {
	const root = "/sys/fs/cgroup"
	for _, pattern := range []string{root, root + "/*"} {
		tops, _ := filepath.Glob(pattern + parent) // only a bad pattern errs
		for _, top := range tops {
			removeDirTree(top)
		}
	}
}

func removeDirTree(top string) {
	var dirs []string
	_ = filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	sort.Sort(sort.Reverse(sort.StringSlice(dirs))) // children first
	for _, d := range dirs {
		_ = os.Remove(d) // the kernel refuses while a process is inside
	}
}
