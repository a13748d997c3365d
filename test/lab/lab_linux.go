package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"tombolo/linker"
)

// APISocket is the framework's API, for a lab as for a single machine.
const APISocket = "/run/tombolo/api.sock"

// upWait bounds how long a lab may take to be ready.
const upWait = 90 * time.Second

// Up makes a lab and returns when every host's Engine and linker and the control
// daemon answer. A lab that an earlier process left half made is removed first;
// one that runs is an error. When ctx ends or a step fails, everything is removed
// again.
func Up(ctx context.Context, cfg Config) (*Lab, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	unlock, err := lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if old, err := Load(); err == nil && old.whole() {
		return nil, fmt.Errorf("a lab of %d is up already (see: tombolo lab ps; remove it with: tombolo lab down)", len(old.Hosts))
	}
	if err := remove(); err != nil {
		return nil, fmt.Errorf("remove what an earlier lab left: %w", err)
	}
	l := plan(cfg)
	ctx, cancel := context.WithTimeout(ctx, upWait)
	defer cancel()
	if err := l.up(ctx, cfg); err != nil {
		return nil, errors.Join(err, remove())
	}
	return l, nil
}

// whole reports whether nothing of the lab has ended that nobody ended on
// purpose: a host may be dead (lab kill), the control daemon may not.
func (l *Lab) whole() bool {
	for _, h := range l.Hosts {
		if h.Alive() {
			return l.Registry.Alive()
		}
	}
	return false
}

func plan(cfg Config) *Lab {
	l := &Lab{Binary: cfg.Binary, NoLinker: cfg.NoLinker}
	if !cfg.NoIPv6 {
		l.Pool6 = linker.RandomPool6()
	}
	for i := 1; i <= cfg.Hosts; i++ {
		l.Hosts = append(l.Hosts, Host{Name: hostName(i), Underlay: hostAddr(i)})
	}
	return l
}

func (l *Lab) up(ctx context.Context, cfg Config) error {
	if err := os.MkdirAll(RunDir, 0o711); err != nil {
		return err
	}
	if err := l.save(); err != nil {
		return err
	}
	if err := makeUnderlay(); err != nil {
		return err
	}
	if err := l.startRegistry(ctx); err != nil {
		return err
	}
	for i := range l.Hosts {
		if err := l.startHost(&l.Hosts[i], l.save); err != nil {
			return err
		}
		cfg.Log.Info("host started", "host", l.Hosts[i].Name, "underlay", l.Hosts[i].Underlay)
	}
	if err := l.waitHosts(ctx); err != nil {
		return err
	}
	if cfg.NoLinker || cfg.NoControl {
		return nil
	}
	return l.StartControl(ctx)
}

func (l *Lab) waitHosts(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, h := range l.Hosts {
		g.Go(func() error { return l.WaitHost(ctx, h.Name) })
	}
	return g.Wait()
}

// startRegistry starts the registry process and learns its loopback address.
func (l *Lab) startRegistry(ctx context.Context) error {
	p, err := l.daemonize("registry.log", "lab", "registry")
	if err != nil {
		return err
	}
	l.Registry = p
	if err := l.save(); err != nil {
		return errors.Join(err, p.kill())
	}
	err = waitFor(ctx, p, func() error {
		b, err := os.ReadFile(registryAddrFile())
		l.RegistryPush = strings.TrimSpace(string(b))
		return err
	})
	if err != nil {
		return l.explain("registry", "registry.log", err)
	}
	return l.save()
}

// StartControl starts the control daemon (embedded master, agents, framework) and
// waits until its API answers.
func (l *Lab) StartControl(ctx context.Context) error {
	file, err := l.writeClusterFile()
	if err != nil {
		return err
	}
	p, err := l.daemonize("control.log", "daemon", "run", "--cluster", file)
	if err != nil {
		return err
	}
	l.Control = p
	if err := l.save(); err != nil {
		return errors.Join(err, p.kill())
	}
	err = waitFor(ctx, p, func() error { return get(ctx, APISocket, "/v1/info", nil) })
	if err != nil {
		return l.explain("control daemon", "control.log", err)
	}
	return nil
}

// KillControl ends the control daemon with kill -9.
func (l *Lab) KillControl() error { return l.Control.kill() }

// daemonize starts the tombolo binary in a session of its own.
func (l *Lab) daemonize(logName string, args ...string) (Process, error) {
	logFile, err := os.OpenFile(filepath.Join(RunDir, logName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Process{}, err
	}
	defer logFile.Close()
	cmd := exec.Command(l.Binary, args...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Process{}, fmt.Errorf("start %s: %w", strings.Join(args, " "), err)
	}
	p := newProcess(cmd.Process.Pid)
	go cmd.Wait() // reaps it should it end while this process lives
	return p, nil
}

// explain adds the last lines of a log to an error.
func (l *Lab) explain(what, logName string, err error) error {
	b, rerr := os.ReadFile(filepath.Join(RunDir, logName))
	if rerr != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w; its log ends with:\n%s", what, err, lastLines(string(b), 15))
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Down removes the lab and everything that it made; no lab is no error.
func Down() error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	return remove()
}

func remove() error {
	var errs []error
	l, err := Load()
	switch {
	case errors.Is(err, ErrNone):
	case err != nil:
		errs = append(errs, err)
	default:
		errs = append(errs, l.Control.stop(5*time.Second), l.Registry.kill())
		for _, h := range l.Hosts {
			errs = append(errs, h.Init.kill())
		}
		removeCgroups(cgroupTop)
	}
	errs = append(errs, removeUnderlay())
	if errors.Join(errs...) != nil { // the state file still knows what is left
		return errors.Join(errs...)
	}
	return errors.Join(removeDir(DataDir), removeDir(RunDir))
}

// removeDir removes a folder with all that is in it. One that is a mount point, as
// for a lab on a disk of its own, stays, empty.
func removeDir(dir string) error {
	if err := clearDir(dir); err != nil {
		return err
	}
	err := os.Remove(dir)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EBUSY) {
		return nil
	}
	return err
}

func clearDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// lock keeps two lab commands from making and removing at the same time.
func lock() (unlock func(), err error) {
	path := RunDir + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the lab: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errors.New("another lab command is at work; wait for it to end")
	}
	return func() { f.Close() }, nil
}
