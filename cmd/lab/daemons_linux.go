package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/cmd/clusterfile"
	"tombolo/cmd/logfile"
	"tombolo/cmd/rundir"
	"tombolo/framework/api"
	"tombolo/internal/state"
)

// ControlDaemon is the name of the control daemon in Missing.
const ControlDaemon = "control daemon"

// controlGrace is how long the control daemon may take to end.
const controlGrace = 5 * time.Second

// StartControl starts the control daemon (embedded master, agents, framework) and waits
// until its API answers.
func (l *Lab) StartControl(ctx context.Context) error {
	if err := mayControl(rundir.Default, l.Control.PID); err != nil {
		return err
	}
	mem, err := memTotal()
	if err != nil {
		return err
	}
	file := filepath.Join(RunDir, "cluster.json") // tells the control daemon about the hosts
	if err := state.Save(file, l.cluster(mem), false); err != nil {
		return err
	}
	if err := l.daemonize(&l.Control, "control.log", "daemon", "run", "--cluster", file); err != nil {
		return err
	}
	return explain("control daemon", "control.log", waitFor(ctx, l.Control, l.controlReady))
}

// KillControl ends the control daemon with kill -9.
func (l *Lab) KillControl() error { return l.Control.kill() }

// Missing names the registry and the control daemon if they have ended. Hosts do not
// count: `lab kill` ends them on purpose.
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

// Mend restarts what is Missing.
func (l *Lab) Mend(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upWait)
	defer cancel()
	return alone(func() error { return l.mend(ctx) })
}

func (l *Lab) mend(ctx context.Context) error {
	if !l.Registry.Alive() {
		before := l.RegistryPush
		if err := l.startRegistry(ctx); err != nil {
			return err
		}
		if l.RegistryPush != before { // the control daemon has the old address: restart it
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

// startRegistry starts the registry process and learns its loopback address.
func (l *Lab) startRegistry(ctx context.Context) error {
	// The file of a registry that has ended would be read below.
	if err := os.Remove(registryAddrFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := l.daemonize(&l.Registry, "registry.log", "lab", "registry"); err != nil {
		return err
	}
	l.RegistryPush = ""
	err := waitFor(ctx, l.Registry, func(context.Context) error {
		err := state.Load(registryAddrFile(), &l.RegistryPush)
		if err == nil && l.RegistryPush == "" {
			err = errors.New("it has not written its address")
		}
		return err
	})
	if err != nil {
		return explain("registry", "registry.log", err)
	}
	return l.save()
}

func (l *Lab) hasControl() bool { return !l.NoLinker && !l.NoControl }

// mayControl returns an error while another process than the control daemon, whose
// number is control, holds the run folder: `tombolo up` would reach that process.
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

// controlReady asks the API, once the control daemon and no other process holds the run
// folder.
func (l *Lab) controlReady(ctx context.Context) error {
	if h, err := rundir.Default.Holder(); err != nil || h.PID != l.Control.PID {
		return errors.Join(errors.New("it does not hold "+rundir.Default.LockFile()), err)
	}
	client := api.NewClient(rundir.Default.API())
	defer client.Close()
	_, err := client.Info(ctx)
	return err
}

// stopControl ends the control daemon and removes the files that it leaves if it has to
// be killed.
func (l *Lab) stopControl() error {
	if l.Control.PID == 0 {
		return nil
	}
	if err := l.Control.stop(controlGrace); err != nil {
		return err
	}
	return rundir.Default.RemoveLeftBy(l.Control.PID)
}

// daemonize starts the tombolo binary in a session of its own and fills in p. A shell
// waits for the word go before it runs the binary.
func (l *Lab) daemonize(p *Process, logName string, args ...string) error {
	cmd := exec.Command("/bin/sh", append([]string{"-c", `read -r go <&3 && exec "$0" "$@" 3<&-`, l.Binary}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := l.start(cmd, p, filepath.Join(RunDir, logName), func() error { return nil }); err != nil {
		return fmt.Errorf("start %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// start starts a process that waits for the word go on its file descriptor 3, fills in
// p, saves the state file, prepares what the process needs and lets it go. If this
// process is killed before, the other one reads an end of file and ends by itself.
func (l *Lab) start(cmd *exec.Cmd, p *Process, log string, prepare func() error) error {
	output, err := logfile.Append(log, 0)
	if err != nil {
		return err
	}
	defer output.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = output, output, []*os.File{r}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // reaps it if it ends while this process lives
	*p = newProcess(cmd.Process.Pid)
	if err := l.save(); err != nil {
		return errors.Join(err, p.kill())
	}
	if err := prepare(); err != nil {
		return err
	}
	_, err = w.WriteString("go\n")
	return err
}

// explain adds the end of a log below RunDir to an error; nil stays nil.
func explain(what, log string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w; %s", what, err, logfile.End(filepath.Join(RunDir, log)))
}

// cluster describes the hosts. Each offers all processors of the machine, which they
// share, and an equal part of its memory, mem bytes.
func (l *Lab) cluster(mem int64) clusterfile.Cluster {
	c := clusterfile.Cluster{
		Registry:         &api.Registry{Push: l.RegistryPush, Pull: fmt.Sprintf("%s:%d", Gateway, RegistryPort)},
		PartitionTimeout: "10s", // the default, for real networks, is longer
	}
	for _, h := range l.Hosts {
		c.Hosts = append(c.Hosts, clusterfile.Host{
			Name: h.Name, Docker: h.DockerHost(), Linker: h.LinkerSocket(), Underlay: h.Underlay.String(),
			WorkDir: h.agentDir(), CPUs: float64(runtime.NumCPU()), MemBytes: mem / int64(len(l.Hosts)),
		})
	}
	return c
}

// memTotal returns the machine's memory in bytes.
func memTotal() (int64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("find out the memory of this machine: %w", err)
	}
	return int64(info.Totalram) * int64(info.Unit), nil
}
