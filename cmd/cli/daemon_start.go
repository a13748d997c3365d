package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
	"tombolo/framework/local/agent"
	"tombolo/framework/store"
)

// A linker that has to wait for others, and a slow machine, need some time.
const startWait = time.Minute

const maxLog = 8 << 20

// startDaemon starts the daemon of this machine, detached, and waits until its API
// answers. It checks first what a newcomer's machine lacks.
func startDaemon(ctx context.Context, stderr io.Writer) error {
	if err := needRoot("up starts containers and makes network interfaces"); err != nil {
		return err
	}
	if l, err := lab.Load(); !errors.Is(err, lab.ErrNone) {
		return mendLab(ctx, stderr, l, err)
	}
	if err := partOfCluster(defaultRunDir, defaultStateDir); err != nil {
		return err
	}
	if err := checkDocker(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(defaultStateDir, 0o755); err != nil {
		return err
	}
	log, err := openLog(daemonLog(defaultStateDir))
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintln(stderr, "starting tombolo daemon on this machine")
	daemon := exec.Command(self, "daemon", "run")
	daemon.Dir = "/" // the user's folder may be unmounted
	daemon.Stdout, daemon.Stderr = log, log
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := daemon.Start(); err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	return awaitDaemon(ctx, ended)
}

// leftBehind reports whether an app waits for the next daemon: the last one was
// killed, or the machine restarted.
func leftBehind(name string) (bool, error) {
	if l, err := lab.Load(); err == nil {
		return slices.Contains(l.Missing(), "control daemon"), nil
	}
	if err := partOfCluster(defaultRunDir, defaultStateDir); err != nil {
		return false, forbidden(err, defaultStateDir)
	}
	file := filepath.Join(defaultStateDir, "framework.db")
	if _, err := os.Stat(file); err != nil {
		return false, ignoreMissing(err)
	}
	if err := needRoot("the daemon's state is root's"); err != nil {
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
	_, ok := state.Apps[name]
	return ok, nil
}

// mendLab starts the control daemon of a lab again, which is who answers there.
func mendLab(ctx context.Context, stderr io.Writer, l *lab.Lab, err error) error {
	if err == nil && l.Ready && slices.Contains(l.Missing(), "control daemon") {
		fmt.Fprintf(stderr, "starting the lab's %s again\n", strings.Join(l.Missing(), " and "))
		return l.Mend(ctx)
	}
	return errors.Join(errors.New("a lab is here, but nobody answers at "+defaultAPI+" (again: tombolo lab down, tombolo lab up)"), err)
}

// openLog appends to what earlier daemons said, unless that is much.
func openLog(path string) (*os.File, error) {
	flags := os.O_CREATE | os.O_APPEND | os.O_WRONLY
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o640)
}

func awaitDaemon(ctx context.Context, ended <-chan error) error {
	client := api.NewClient(defaultAPI)
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
			return fmt.Errorf("the daemon does not get ready; its log (%s) ends with:\n%s", daemonLog(defaultStateDir), logEnd())
		case err := <-ended:
			if _, running := daemonPID(defaultRunDir); running == nil {
				ended = nil // somebody else's was faster
				continue
			}
			return fmt.Errorf("the daemon ended (%w); its log (%s) ends with:\n%s", err, daemonLog(defaultStateDir), logEnd())
		case <-tick.C:
		}
	}
}

// logEnd returns the last lines of the daemon's log.
func logEnd() string {
	data, err := os.ReadFile(daemonLog(defaultStateDir))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// checkDocker says what to do where there is no Docker.
func checkDocker(ctx context.Context) error {
	const install = "(Debian and Ubuntu: apt-get install docker.io)"
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("no docker command here: tombolo needs the Docker Engine " + install)
	}
	host := machineDocker()
	docker, err := agent.NewDocker(host)
	if err != nil {
		return err
	}
	if c, ok := docker.(io.Closer); ok {
		defer c.Close()
	}
	if _, err := docker.Machine(ctx); err != nil {
		return fmt.Errorf("no Docker Engine answers at %s: install it %s or start it (systemctl start docker): %w", host, install, err)
	}
	return nil
}
