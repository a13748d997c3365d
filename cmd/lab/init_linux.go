package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// InitConfig tells a host's init what to be. It is passed as JSON.
type InitConfig struct {
	Host     Host         `json:"host"`
	Binary   string       `json:"binary"`
	Join     []string     `json:"join"`           // underlay addresses of the other hosts
	Pool6    netip.Prefix `json:"pool6,omitzero"` // unset: no IPv6
	NoLinker bool         `json:"no_linker,omitempty"`
}

// goFD is where init waits for its network: a byte says go, end of file says
// that whoever made the host is gone.
const goFD = 3

// respawnDelay spaces the restarts of a service that ends, as systemd would.
const respawnDelay = 500 * time.Millisecond

// RunInit is process 1 of a virtual host: it arranges the mounts, starts the
// Engine and the linker, starts them again when they end, and reaps orphans. It
// returns on SIGTERM, and everything in the host dies with it.
func RunInit(cfg InitConfig) error {
	var b [1]byte
	if _, err := io.ReadFull(os.NewFile(goFD, "go"), b[:]); err != nil {
		return fmt.Errorf("wait for the network: %w", err)
	}
	if err := arrangeMounts(cfg.Host); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(cfg.Host.Name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := writeEngineConfig(cfg.Host); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return supervise(ctx, services(cfg))
}

// service is one program that init keeps running.
type service struct {
	name string
	argv []string
	log  string // appended to
}

func services(cfg InitConfig) []service {
	list := []service{{
		name: "dockerd",
		argv: []string{"dockerd", "--config-file", engineConfigPath},
		log:  "/run/dockerd.log",
	}}
	if cfg.NoLinker {
		return list
	}
	argv := []string{cfg.Binary, "linker", "--host", cfg.Host.Name, "--underlay", cfg.Host.Underlay.String()}
	if cfg.Pool6.IsValid() {
		argv = append(argv, "--pool6", cfg.Pool6.String())
	}
	for _, j := range cfg.Join {
		argv = append(argv, "--join", j)
	}
	return append(list, service{name: "linker", argv: argv, log: "/run/linker.log"})
}

// arrangeMounts gives the host its own /proc, /run, /var/lib/docker and
// /var/lib/tombolo; all else is the machine's.
func arrangeMounts(h Host) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	binds := []struct{ from, to string }{
		{filepath.Join(h.DataDir(), "docker"), "/var/lib/docker"},
		{filepath.Join(h.DataDir(), "tombolo"), "/var/lib/tombolo"},
		{filepath.Join(h.DataDir(), "resolv.conf"), "/etc/resolv.conf"},
		{h.RunDir(), "/run"},
	}
	for _, b := range binds {
		if err := unix.Mount(b.from, b.to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s on %s: %w", b.from, b.to, err)
		}
	}
	return nil
}

const engineConfigPath = "/run/dockerd.json"

// writeEngineConfig writes the Engine's configuration. The cgroupfs driver works
// without systemd, on both cgroup versions.
func writeEngineConfig(h Host) error {
	b, err := json.MarshalIndent(map[string]any{
		"exec-opts":           []string{"native.cgroupdriver=cgroupfs"},
		"cgroup-parent":       cgroupParent(h.Name),
		"insecure-registries": []string{Underlay.String()},
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(engineConfigPath, b, 0o644)
}

// supervise starts the services and reaps every child of this process 1 until ctx
// ends. Children are waited for in one place only, because an init inherits
// orphans too.
func supervise(ctx context.Context, list []service) error {
	running := make(map[int]service)
	for _, s := range list {
		if err := start(s, running); err != nil {
			return err
		}
	}
	ended := make(chan int)
	go reap(ended)
	for {
		select {
		case <-ctx.Done():
			return nil
		case pid := <-ended:
			s, ours := running[pid]
			if !ours {
				continue
			}
			delete(running, pid)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(respawnDelay):
			}
			if err := start(s, running); err != nil {
				return err
			}
		}
	}
}

func start(s service, running map[int]service) error {
	logFile, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer logFile.Close()
	path, err := exec.LookPath(s.argv[0])
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	p, err := os.StartProcess(path, s.argv, &os.ProcAttr{
		Env:   os.Environ(),
		Files: []*os.File{nil, logFile, logFile},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	running[p.Pid] = s
	return p.Release()
}

// reap waits for any child, for ever, and tells who ended.
func reap(ended chan<- int) {
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		switch {
		case err == nil:
			ended <- pid
		case errors.Is(err, unix.EINTR):
		default: // no child at this moment
			time.Sleep(respawnDelay)
		}
	}
}
