package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/cmd/logfile"
	"tombolo/internal/wake"
)

// InitConfig tells the init of a host what to run. It is passed as JSON.
type InitConfig struct {
	Host   Host           `json:"host"`
	Linker []string       `json:"linker"`           // its command line; empty: the host has none
	Engine map[string]any `json:"engine,omitempty"` // see Config.Engine
}

// goFD is the file descriptor on which init waits for its network: a byte lets it go, an
// end of file says that the process that made the host has ended.
const goFD = 3

// respawnDelay is the pause before a program that has ended is started again, as with
// systemd.
const respawnDelay = 500 * time.Millisecond

// RunInit runs process 1 of a virtual host: it mounts the host's folders, starts the
// Engine and the linker, restarts them when they end, and reaps orphans. It returns on
// SIGTERM; everything in the host ends with it.
func RunInit(cfg InitConfig) error {
	var b [1]byte
	if _, err := io.ReadFull(os.NewFile(goFD, "go"), b[:]); err != nil {
		return fmt.Errorf("wait for the network: %w", err)
	}
	held, err := holdDisk(cfg.Host.Disk)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := mountDirs(cfg.Host); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(cfg.Host.Name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := writeEngineConfig(cfg.Host, cfg.Engine); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	programs := []program{{argv: []string{"dockerd", "--config-file", engineConfigPath}, log: "/run/dockerd.log"}}
	if len(cfg.Linker) > 0 {
		programs = append(programs, program{argv: cfg.Linker, log: "/run/linker.log"})
	}
	return supervise(ctx, programs)
}

type program struct {
	argv []string
	log  string
}

// mountDirs gives the host a /proc, /run, resolv.conf, /var/lib/docker and
// /var/lib/tombolo of its own. It shares all other files with the machine.
func mountDirs(h Host) error {
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
		{h.RunDir(), "/run"}, // last: it hides RunDir
	}
	for _, b := range binds {
		if err := unix.Mount(b.from, b.to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s on %s: %w", b.from, b.to, err)
		}
	}
	return nil
}

// supervise keeps the programs running until ctx ends. An init also inherits orphans, so
// one goroutine waits for every child of this process.
func supervise(ctx context.Context, list []program) error {
	running := make(map[int]program)
	for _, p := range list {
		if err := p.start(running); err != nil {
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
			p, ours := running[pid]
			if !ours {
				continue
			}
			delete(running, pid)
			if !wake.Sleep(ctx, respawnDelay) {
				return nil
			}
			if err := p.start(running); err != nil {
				return err
			}
		}
	}
}

func (p program) start(running map[int]program) error {
	logFile, err := logfile.Append(p.log, 0)
	if err != nil {
		return err
	}
	defer logFile.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.argv[0], err)
	}
	running[cmd.Process.Pid] = p
	return cmd.Process.Release() // reap waits for it
}

// reap waits for children forever and sends the number of each that ends.
func reap(ended chan<- int) {
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		switch {
		case err == nil:
			ended <- pid
		case errors.Is(err, unix.EINTR):
		default: // there is no child at this moment
			time.Sleep(respawnDelay)
		}
	}
}
