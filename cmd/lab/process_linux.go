package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// killWait bounds how long a killed process may take to end. The init of a host ends
// only after every process of its PID namespace.
const killWait = 20 * time.Second

// kill ends this very process with SIGKILL and waits for its end.
func (p Process) kill() error { return p.end(syscall.SIGKILL, killWait) }

// stop asks the process to end with SIGTERM, and kills it after grace.
func (p Process) stop(grace time.Duration) error {
	if err := p.end(syscall.SIGTERM, grace); err == nil {
		return nil
	}
	return p.kill()
}

func (p Process) end(sig syscall.Signal, wait time.Duration) error {
	proc, err := os.FindProcess(p.PID) // opens a pidfd: the signal never hits a later process
	if err != nil || !p.Alive() {
		return nil
	}
	if err := proc.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal process %d: %w", p.PID, err)
	}
	for deadline := time.Now().Add(wait); p.Alive(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d still runs %s after %s", p.PID, wait, sig)
		}
	}
	_, _ = proc.Wait() // so that a child of this process leaves no zombie; others are reaped by their parents
	return nil
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
