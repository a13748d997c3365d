package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

const hostNamespaces = unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC

// startHost makes the namespaces of host h, plugs it into the underlay and lets
// its init go. It fills h.Init and calls save before the init may do anything,
// so that a crash of ours leaves nothing unknown.
func (l *Lab) startHost(h *Host, save func() error) error {
	if err := makeHostDirs(*h); err != nil {
		return err
	}
	arg, err := json.Marshal(InitConfig{Host: *h, Binary: l.Binary, Join: l.others(h.Name), Pool6: l.Pool6, NoLinker: l.NoLinker})
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	logFile, err := os.OpenFile(filepath.Join(h.RunDir(), "init.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer logFile.Close()
	cmd := exec.Command(l.Binary, "lab", "init", string(arg))
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: hostNamespaces, Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start host %s: %w", h.Name, err)
	}
	h.Init = newProcess(cmd.Process.Pid)
	if err := save(); err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	if err := plug(h.Init.PID, h.Name, h.Underlay); err != nil {
		return err
	}
	if _, err := w.Write([]byte{1}); err != nil {
		return fmt.Errorf("let host %s go: %w", h.Name, err)
	}
	go cmd.Wait() // reaps the init should it end while this process lives
	return nil
}

// others lists the underlay addresses of all hosts but the named one.
func (l *Lab) others(name string) []string {
	var out []string
	for _, h := range l.Hosts {
		if h.Name != name {
			out = append(out, h.Underlay.String())
		}
	}
	return out
}

func makeHostDirs(h Host) error {
	for _, d := range []string{h.RunDir(), h.AgentDir(), filepath.Join(h.DataDir(), "docker"), filepath.Join(h.DataDir(), "tombolo")} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
	}
	for _, d := range []string{"/var/lib/docker", "/var/lib/tombolo"} { // mount points
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
	}
	// Nothing beyond the lab answers, so that look-ups of outside names fail fast.
	return os.WriteFile(filepath.Join(h.DataDir(), "resolv.conf"), []byte("nameserver "+Gateway.String()+"\n"), 0o644)
}

// Kill ends host h as a power cut would: kill -9 of its init. Its disk stays.
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

// Start brings a killed host back with its disk.
func (l *Lab) Start(name string) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	if h.Alive() {
		return fmt.Errorf("host %s is running", name)
	}
	if err := clearDir(h.RunDir()); err != nil { // as a boot does
		return err
	}
	removeCgroups(cgroupParent(h.Name))
	return l.startHost(h, l.save)
}

// Command prepares argv to run inside host h, in all of its namespaces.
func (h Host) Command(argv ...string) *exec.Cmd {
	args := append([]string{"-t", fmt.Sprint(h.Init.PID), "-m", "-n", "-p", "-u", "-i", "--"}, argv...)
	return exec.Command("nsenter", args...)
}
