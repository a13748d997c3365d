package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/cmd/docker"
	"tombolo/cmd/lab"
	"tombolo/cmd/logfile"
	"tombolo/cmd/privilege"
	"tombolo/cmd/rundir"
	"tombolo/framework/api"
	"tombolo/framework/store"
	"tombolo/internal/state"
	"tombolo/linker"
)

// startWait bounds how long a daemon may take to be ready. Its linker may have to wait
// for others, on a slow machine.
const startWait = time.Minute

// maxLog is the size, in bytes, beyond which the next daemon truncates the log.
const maxLog = 8 << 20

// Start starts the daemon of this machine, detached, and waits until its API answers.
// If a lab is up, it starts the lab's control daemon instead. It first checks what a new
// machine may lack. It tells on stderr what it starts. The pool is as in Config.Pool.
func Start(ctx context.Context, stderr io.Writer, pool netip.Prefix) error {
	if err := privilege.NeedRoot("up starts containers and makes network interfaces"); err != nil {
		return err
	}
	if l, err := lab.Load(); !errors.Is(err, lab.ErrNone) {
		return mendLab(ctx, stderr, l, err)
	}
	if err := PartOfCluster(rundir.Default, DefaultStateDir); err != nil {
		return err
	}
	if err := checkDocker(ctx); err != nil {
		return err
	}
	fmt.Fprintln(stderr, "starting tombolo daemon on this machine")
	ended, err := startDetached(pool)
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	if err := awaitReady(ctx, ended); err != nil {
		return err
	}
	tellPool(stderr)
	return nil
}

// tellPool says so if the containers of this machine do not have the addresses that they have
// elsewhere.
func tellPool(stderr io.Writer) {
	var pool netip.Prefix
	if err := state.Load(poolFile(DefaultStateDir), &pool); err == nil && pool.IsValid() && pool != linker.DefaultPool4 {
		fmt.Fprintf(stderr, "containers get addresses of %s\n", pool)
	}
}

// LeftBehind reports whether the state of a daemon that has ended contains the app. The
// daemon was killed, or the machine restarted; the next daemon continues the app.
func LeftBehind(app string) (bool, error) {
	if l, err := lab.Load(); err == nil {
		return slices.Contains(l.Missing(), lab.ControlDaemon), nil
	}
	if err := PartOfCluster(rundir.Default, DefaultStateDir); err != nil {
		return false, privilege.Explain(err, DefaultStateDir)
	}
	file := database(DefaultStateDir)
	if _, err := os.Stat(file); err != nil {
		return false, ignoreMissing(err)
	}
	if err := privilege.NeedRoot("the daemon's state belongs to root"); err != nil {
		return false, err
	}
	backend, err := store.OpenBolt(file)
	if err != nil {
		return false, err
	}
	kept := store.New(backend)
	state, err := kept.Load()
	if err := errors.Join(err, kept.Close()); err != nil {
		return false, err
	}
	_, ok := state.Apps[app]
	return ok, nil
}

// mendLab restarts the control daemon of a lab, which serves the API there. err is that
// of loading the lab.
func mendLab(ctx context.Context, stderr io.Writer, l *lab.Lab, err error) error {
	if err == nil && l.Ready && slices.Contains(l.Missing(), lab.ControlDaemon) {
		fmt.Fprintf(stderr, "starting the lab's %s again\n", strings.Join(l.Missing(), " and "))
		return l.Mend(ctx)
	}
	return errors.Join(fmt.Errorf("a lab is up, but its control daemon does not answer at %s (make the lab anew: tombolo lab down, tombolo lab up)", rundir.Default.API()), err)
}

// checkDocker says how to get a Docker Engine where none answers.
func checkDocker(ctx context.Context) error {
	const install = "(Debian and Ubuntu: apt-get install docker.io)"
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("there is no docker command: tombolo needs the Docker Engine " + install)
	}
	if _, err := docker.Run(ctx, docker.Machine(), "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("no Docker Engine answers at %s: install it %s or start it (systemctl start docker): %w", docker.Machine(), install, err)
	}
	return nil
}

// startDetached starts `tombolo daemon run` in a session of its own. The channel gets
// the result when it ends.
func startDetached(pool netip.Prefix) (<-chan error, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(DefaultStateDir, 0o755); err != nil {
		return nil, err
	}
	log, err := logfile.Append(logFile(DefaultStateDir), maxLog)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := []string{"daemon", "run"}
	if pool.IsValid() {
		args = append(args, "--pool", pool.String())
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = "/" // the user's folder may be unmounted while the daemon runs
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1) // one slot: the daemon may end when no command waits for it any more
	go func() { ended <- cmd.Wait() }()
	return ended, nil
}

func logFile(stateDir string) string { return filepath.Join(stateDir, "daemon.log") }

func awaitReady(ctx context.Context, ended <-chan error) error {
	client := api.NewClient(rundir.Default.API())
	defer client.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(startWait); ; {
		if info, err := client.Info(ctx); err == nil && info.Connected {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("the daemon is not ready after %v; %s", startWait, logfile.End(logFile(DefaultStateDir)))
		case err := <-ended:
			if _, herr := rundir.Default.Holder(); herr != nil {
				return fmt.Errorf("the daemon ended (%w); %s", err, logfile.End(logFile(DefaultStateDir)))
			}
			ended = nil // another command's daemon was faster: wait for that one
		case <-tick.C:
		}
	}
}

// dyingWait is how long the linker of a daemon that was killed may take to end.
const dyingWait = 2 * time.Second

// PartOfCluster returns an error that says what to do if this machine is part of a
// cluster that has its framework elsewhere, or here and not answering. A daemon would
// make a second cluster on the same Engine, which knows nothing of the first one's apps.
func PartOfCluster(run rundir.Dir, stateDir string) error {
	h, err := run.Holder()
	running := err == nil
	if err != nil && !errors.Is(err, rundir.ErrFree) {
		return err
	}
	switch {
	case h.Kind == rundir.Framework && running:
		return fmt.Errorf("the framework of this machine's cluster (process %d) does not answer yet: it starts, or waits for its linker (see: journalctl -u tombolo-framework)", h.PID)
	case h.Kind == rundir.Framework:
		return fmt.Errorf("the framework of this machine's cluster does not run: start it (systemctl start tombolo-framework); if that cluster is gone for good: rm %s", run.LockFile())
	case running: // the linker is the daemon's own
		return nil
	}
	return foreignLinker(stateDir)
}

// foreignLinker returns an error while a linker runs on this machine. The caller knows
// that no daemon runs whose linker it could be.
func foreignLinker(stateDir string) error {
	for deadline := time.Now().Add(dyingWait); ; time.Sleep(dyingWait / 40) {
		held, err := lockIsHeld(linker.LockFile(linkerDir(stateDir)))
		switch {
		case err != nil:
			return fmt.Errorf("look for a linker: %w", err)
		case !held:
			return nil
		case time.Now().After(deadline):
			return errors.New("this machine is a host of a cluster: a linker runs here that no daemon started. Ask the API of the cluster's framework, " +
				"with --api or TOMBOLO_API or on the framework's machine; for a cluster of this machine alone, stop the linker first (systemctl stop tombolo-linker)")
		}
	}
}

// lockIsHeld reports whether a process holds the lock file exclusively.
func lockIsHeld(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, ignoreMissing(err)
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
