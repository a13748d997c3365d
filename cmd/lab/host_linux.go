package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

const hostNamespaces = unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC

// Kill ends a host as a power cut would, by kill -9 of its init. Its disk stays.
func (l *Lab) Kill(name string) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	if err := h.Init.kill(); err != nil {
		return fmt.Errorf("kill host %s: %w", name, err)
	}
	return nil
}

// Start starts a killed host again, with its disk.
func (l *Lab) Start(name string) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	if h.Alive() {
		return fmt.Errorf("host %s is running", name)
	}
	if err := clearDir(h.RunDir()); err != nil { // /run is empty after a boot
		return err
	}
	removeCgroups(cgroupParent(h.Name))
	return l.startHost(h)
}

// Command prepares a command to run inside the host, in all of its namespaces.
func (h Host) Command(argv ...string) *exec.Cmd {
	args := append([]string{"-t", fmt.Sprint(h.Init.PID), "-m", "-n", "-p", "-u", "-i", "--"}, argv...)
	return exec.Command("nsenter", args...)
}

// startHost makes the namespaces of h, connects it to the underlay and lets its init go.
func (l *Lab) startHost(h *Host) error {
	if err := makeHostDirs(*h); err != nil {
		return err
	}
	arg, err := json.Marshal(InitConfig{Host: *h, Linker: l.linkerCommand(h)})
	if err != nil {
		return err
	}
	cmd := exec.Command(l.Binary, "lab", "init", string(arg))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: hostNamespaces, Setsid: true}
	err = l.start(cmd, &h.Init, filepath.Join(h.RunDir(), "init.log"), func() error {
		return connect(h.Init.PID, h.Name, h.Underlay)
	})
	if err != nil {
		return fmt.Errorf("start host %s: %w", h.Name, err)
	}
	return nil
}

// linkerCommand returns the command line of a host's linker; nil if the lab has none.
func (l *Lab) linkerCommand(h *Host) []string {
	if l.NoLinker {
		return nil
	}
	argv := []string{l.Binary, "linker", "--host", h.Name, "--underlay", h.Underlay.String()}
	if l.Pool6.IsValid() {
		argv = append(argv, "--pool6", l.Pool6.String())
	}
	for _, other := range l.Hosts {
		if other.Name != h.Name {
			argv = append(argv, "--join", other.Underlay.String())
		}
	}
	return argv
}

// makeHostDirs makes the folders of a host and those on which its init mounts them.
func makeHostDirs(h Host) error {
	for _, d := range []string{
		h.RunDir(), h.AgentDir(), filepath.Join(h.DataDir(), "docker"), filepath.Join(h.DataDir(), "tombolo"),
		"/var/lib/docker", "/var/lib/tombolo",
	} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
	}
	// Only the lab answers at the gateway, so look-ups of other names fail at once.
	return os.WriteFile(filepath.Join(h.DataDir(), "resolv.conf"), []byte("nameserver "+Gateway.String()+"\n"), 0o644)
}
