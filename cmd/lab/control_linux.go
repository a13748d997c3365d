package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tombolo/cmd/rundir"
)

// ControlDaemon is the name of the control daemon in Missing.
const ControlDaemon = "control daemon"

// controlGrace is how long the control daemon may take to end.
const controlGrace = 5 * time.Second

// startRegistry starts the registry process and learns its loopback address.
func (l *Lab) startRegistry(ctx context.Context) error {
	if err := os.Remove(registryAddrFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // it would be a dead registry's
	}
	if err := l.daemonize(&l.Registry, "registry.log", "lab", "registry"); err != nil {
		return err
	}
	err := waitFor(ctx, l.Registry, func() error {
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
	if err := l.mayControl(); err != nil {
		return err
	}
	file, err := l.writeClusterFile()
	if err != nil {
		return err
	}
	if err := l.daemonize(&l.Control, "control.log", "daemon", "run", "--cluster", file); err != nil {
		return err
	}
	if err := waitFor(ctx, l.Control, func() error { return l.controlReady(ctx) }); err != nil {
		return l.explain("control daemon", "control.log", err)
	}
	return nil
}

// mayControl refuses where another daemon than the lab's own serves the API.
func (l *Lab) mayControl() error {
	if !l.hasControl() {
		return nil
	}
	return mayControl(rundir.Default, l.Control.PID)
}

// mayControl refuses while another process than the control daemon, whose number is
// control, holds the run folder: `tombolo up` would reach that process.
func mayControl(run rundir.Dir, control int) error {
	h, err := run.Holder()
	switch {
	case errors.Is(err, rundir.ErrFree) || err == nil && h.PID == control:
		return nil
	case err != nil && !errors.Is(err, rundir.ErrUnnamed):
		return fmt.Errorf("read the daemon's lock: %w", err)
	case h.Kind == rundir.Framework:
		return fmt.Errorf("a cluster's framework runs here (process %d) and serves %s, as a lab would (first: systemctl stop tombolo-framework)", h.PID, run.API())
	}
	return fmt.Errorf("a tombolo daemon runs here (process %d) and serves %s, as a lab would (first: tombolo daemon stop)", h.PID, run.API())
}

// controlReady asks the API once it is known to be the control daemon's.
func (l *Lab) controlReady(ctx context.Context) error {
	if h, err := rundir.Default.Holder(); err != nil || h.PID != l.Control.PID {
		return errors.Join(errors.New("it does not hold "+rundir.Default.LockFile()), err)
	}
	return get(ctx, rundir.Default.API(), "/v1/info", nil)
}

// KillControl ends the control daemon with kill -9.
func (l *Lab) KillControl() error { return l.Control.kill() }

// stopControl ends the control daemon and removes the files that one leaves which
// was killed.
func (l *Lab) stopControl() error {
	if l.Control.PID == 0 {
		return nil
	}
	if err := l.Control.stop(controlGrace); err != nil {
		return err
	}
	return rundir.Default.RemoveLeftBy(l.Control.PID)
}

// usable reports whether the lab was once ready, a host of it lives, and whoever it
// was made for does.
func (l *Lab) usable() bool {
	wanted := l.Owner == (Process{}) || l.Owner.Alive()
	return l.Ready && wanted && slices.ContainsFunc(l.Hosts, Host.Alive)
}

// Missing names what has ended that nobody ends on purpose: a host may be dead
// (lab kill), the registry and the control daemon may not.
func (l *Lab) Missing() []string {
	var names []string
	if !l.Registry.Alive() {
		names = append(names, "registry")
	}
	if l.hasControl() && !l.Control.Alive() {
		names = append(names, ControlDaemon)
	}
	return names
}

func (l *Lab) hasControl() bool { return !l.NoLinker && !l.NoControl }

// Mend starts again what is Missing.
func (l *Lab) Mend(ctx context.Context) error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, upWait)
	defer cancel()
	return l.mend(ctx)
}

func (l *Lab) mend(ctx context.Context) error {
	if !l.Registry.Alive() {
		before := l.RegistryPush
		if err := l.startRegistry(ctx); err != nil {
			return err
		}
		if l.RegistryPush != before { // the control daemon tells others where to push
			if err := l.stopControl(); err != nil {
				return err
			}
		}
	}
	if l.hasControl() && !l.Control.Alive() {
		return l.StartControl(ctx)
	}
	return nil
}

// daemonize starts the tombolo binary in a session of its own and fills in p. The
// binary runs once p is saved: whoever is killed before leaves a shell that ends.
func (l *Lab) daemonize(p *Process, logName string, args ...string) error {
	logFile, err := os.OpenFile(filepath.Join(RunDir, logName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer logFile.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	cmd := exec.Command("/bin/sh", append([]string{"-c", `read -r go <&3 && exec "$0" "$@" 3<&-`, l.Binary}, args...)...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", strings.Join(args, " "), err)
	}
	go cmd.Wait() // reaps it should it end while this process lives
	*p = newProcess(cmd.Process.Pid)
	if err := l.save(); err != nil {
		return errors.Join(err, p.kill())
	}
	if _, err := w.WriteString("go\n"); err != nil {
		return fmt.Errorf("start %s: %w", strings.Join(args, " "), err)
	}
	return nil
}
