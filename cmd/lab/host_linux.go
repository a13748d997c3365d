package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/internal/unixhttp"
	"tombolo/internal/wake"
	linkerapi "tombolo/linker/api"
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
	removeCgroups(h.cgroupParent())
	return l.startHost(h)
}

// Command prepares a command to run inside the host, in all of its namespaces. A docker there asks
// the host's own Engine, whichever one the caller's environment names.
func (h Host) Command(argv ...string) *exec.Cmd {
	args := append([]string{"-t", fmt.Sprint(h.Init.PID), "-m", "-n", "-p", "-u", "-i", "--"}, argv...)
	cmd := exec.Command("nsenter", args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), namesAnEngine)
	return cmd
}

// namesAnEngine reports whether a variable leads docker(1) to another Engine than the local one.
func namesAnEngine(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains([]string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"}, name)
}

// startHost makes the namespaces of h, connects it to the underlay and lets its init go.
func (l *Lab) startHost(h *Host) error {
	if err := makeHostDirs(*h); err != nil {
		return err
	}
	arg, err := json.Marshal(InitConfig{Host: *h, Linker: l.linkerCommand(h), Engine: l.Engine.Settings})
	if err != nil {
		return err
	}
	cmd := exec.Command(l.Binary, "lab", "init", string(arg))
	cmd.Env = append(os.Environ(), "PATH="+l.Engine.Path) // also if `lab start` has another one
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
	if l.Pool4.IsValid() {
		argv = append(argv, "--pool", l.Pool4.String())
	}
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
		h.RunDir(), h.agentDir(), filepath.Join(h.DataDir(), "docker"), filepath.Join(h.DataDir(), "tombolo"),
		"/var/lib/docker", "/var/lib/tombolo",
	} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
	}
	// Only the lab answers at the gateway, so look-ups of other names fail at once.
	return os.WriteFile(filepath.Join(h.DataDir(), "resolv.conf"), []byte("nameserver "+Gateway.String()+"\n"), 0o644)
}

// How often waitFor asks, and how long one answer may take.
const (
	pollEvery = 50 * time.Millisecond
	pollWait  = 2 * time.Second
)

// WaitHost returns when the Engine of a host answers and its linker, if it has one, is
// ready and sees the linker of every living host.
func (l *Lab) WaitHost(ctx context.Context, name string) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	err = waitFor(ctx, h.Init, h.engineReady)
	if err != nil || l.NoLinker {
		return explain("Docker Engine of "+name, filepath.Join(name, "dockerd.log"), err)
	}
	err = waitFor(ctx, h.Init, func(ctx context.Context) error { return l.linkerReady(ctx, h) })
	return explain("linker of "+name, filepath.Join(name, "linker.log"), err)
}

// waitFor calls check until it returns nil. It gives up with check's last error when ctx
// ends, and at once when process p ends, because another process may answer in its place.
func waitFor(ctx context.Context, p Process, check func(context.Context) error) error {
	for {
		if !p.Alive() {
			return fmt.Errorf("process %d ended", p.PID)
		}
		asked, cancel := context.WithTimeout(ctx, pollWait)
		err := check(asked)
		cancel()
		if err == nil {
			return nil
		}
		if !wake.Sleep(ctx, pollEvery) {
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (h Host) engineReady(ctx context.Context) error {
	transport := unixhttp.Transport(h.engineSocket())
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/_ping", nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ping: %s", resp.Status)
	}
	return nil
}

func (l *Lab) linkerReady(ctx context.Context, h *Host) error {
	client := linkerapi.NewClient(h.LinkerSocket())
	defer client.Close()
	s, err := client.Status(ctx)
	if err != nil {
		return err
	}
	seen, living := 0, 0
	for _, p := range s.Peers {
		if p.State == "alive" {
			seen++
		}
	}
	for _, o := range l.Hosts {
		if o.Name != h.Name && o.Alive() {
			living++
		}
	}
	if !s.Ready || seen < living {
		return fmt.Errorf("not ready: sees %d of %d peers, problems %v", seen, living, s.Problems)
	}
	return nil
}
