package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/cmd/docker"
	"tombolo/cmd/lab"
	"tombolo/cmd/rundir"
	"tombolo/framework/api"
	"tombolo/internal/wake"
	"tombolo/linker"
	linkerapi "tombolo/linker/api"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// stopWait bounds how long a daemon may take to end, and Docker to remove the network.
const stopWait = 20 * time.Second

// Stop stops the daemon whose run folder is run, and removes what the daemon of a single
// machine made, also where that daemon was killed before. It returns an error and stops
// nothing while an app or a container depends on the daemon. It prints what it did.
func Stop(ctx context.Context, out io.Writer, run rundir.Dir) error {
	h, err := run.Holder()
	running := !errors.Is(err, rundir.ErrFree)
	if running {
		if err != nil {
			return err
		}
		if err := mayStop(h); err != nil {
			return err
		}
		if err := idle(ctx, run); err != nil {
			return err
		}
		if err := terminate(ctx, h, run); err != nil {
			return err
		}
	}
	switch {
	case h.Kind == rundir.Machine || h.Kind == rundir.Stopping:
		if err := removeLeftovers(ctx, run, h.StateDir); err != nil {
			return fmt.Errorf("the daemon is stopped, but not all that it made is removed (try again: tombolo daemon stop): %w", err)
		}
		fmt.Fprintf(out, "stopped; the network is gone, the state stays in %s\n", h.StateDir)
	case running:
		fmt.Fprintln(out, "stopped")
	default:
		fmt.Fprintln(out, "no daemon runs")
	}
	return nil
}

// mayStop refuses holders that are stopped in another way.
func mayStop(h rundir.Holder) error {
	if h.Kind == rundir.Stopping {
		return h.InTheWay()
	}
	if h.Kind == rundir.Framework {
		return fmt.Errorf("process %d is the framework of a cluster, not a daemon: stop it the way it was started (systemctl stop tombolo-framework)", h.PID)
	}
	if l, err := lab.Load(); err == nil && l.Control.PID == h.PID && l.Control.Alive() {
		return errors.New("this daemon is the lab's, and ends with the lab: tombolo lab down")
	}
	return nil
}

// idle returns an error while anything depends on the daemon: apps, or containers to
// which its linker gave an address.
func idle(ctx context.Context, run rundir.Dir) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := api.NewClient(run.API())
	defer client.Close()
	apps, err := client.Apps(ctx)
	if err != nil {
		return fmt.Errorf("cannot tell whether an app needs the daemon: %w", err)
	}
	if len(apps) > 0 {
		var names []string
		for _, a := range apps {
			names = append(names, a.App)
		}
		return fmt.Errorf("the daemon is needed by %s (first: tombolo -p %s down)", strings.Join(names, ", "), names[0])
	}
	if _, err := os.Stat(run.Linker()); err != nil {
		return nil
	}
	return linkerIdle(ctx, run.Linker())
}

func linkerIdle(ctx context.Context, socket string) error {
	linker := linkerapi.NewClient(socket)
	defer linker.Close()
	status, err := linker.Status(ctx)
	if err != nil {
		return nil // a linker that does not answer serves no container
	}
	catalog, err := linker.Catalog(ctx)
	if err != nil {
		return fmt.Errorf("cannot tell whether a container needs the linker: %w", err)
	}
	var used []string
	for _, e := range catalog.Endpoints {
		if e.Host == status.Host.Key() {
			used = append(used, containerName(e))
		}
	}
	if len(used) > 0 {
		slices.Sort(used)
		return errInUse(used)
	}
	return nil
}

func errInUse(containers []string) error {
	return fmt.Errorf("containers are on the network that the daemon's linker serves: %s (first: docker rm -f %[1]s)", strings.Join(containers, " "))
}

func containerName(e *record.Endpoint) string {
	if e.ContainerName != "" {
		return e.ContainerName
	}
	return e.Container[:min(12, len(e.Container))]
}

// terminate ends the holder and waits until the run folder is free.
func terminate(ctx context.Context, h rundir.Holder, run rundir.Dir) error {
	if err := syscall.Kill(h.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", h.PID, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stopWait,
		fmt.Errorf("the daemon (process %d) has not ended after %v; see its log: %s", h.PID, stopWait, logFile(h.StateDir)))
	defer cancel()
	for {
		if _, err := run.Holder(); errors.Is(err, rundir.ErrFree) {
			return nil
		}
		if !wake.Sleep(ctx, 50*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// pluginSocket is where Docker looks for the linker's network driver.
const pluginSocket = "/run/docker/plugins/" + linker.Driver + ".sock"

// removeLeftovers removes the Docker network, the interface, routes, policy and sockets.
// A linker leaves them when it ends, so that containers keep their network until it
// restarts, but here no linker will. It returns an error while a container is on the
// network or a linker runs. It holds the daemon's lock, so that no daemon starts.
func removeLeftovers(ctx context.Context, run rundir.Dir, stateDir string) error {
	lock, err := run.Lock(rundir.Holder{Kind: rundir.Stopping, StateDir: stateDir})
	if err != nil {
		return err
	}
	defer lock.Close()
	linkerLock, err := lockLinker(linkerDir(stateDir))
	if err != nil {
		return err
	}
	defer linkerLock.Close()
	if err := removeNetwork(ctx); err != nil {
		return fmt.Errorf("remove the Docker network: %w", err)
	}
	sandboxes, err := linker.Sandboxes(linkerDir(stateDir))
	if err != nil {
		return err
	}
	if err := overlay.New(overlay.Options{}).Clear(ctx, sandboxes...); err != nil {
		return fmt.Errorf("remove the interface: %w", err)
	}
	return run.Remove()
}

// lockLinker takes the lock that a linker holds while it runs.
func lockLinker(dir string) (*os.File, error) {
	f, err := os.OpenFile(linker.LockFile(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the linker: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("a linker still runs with the state folder %s", dir)
	}
	return f, nil
}

// removeNetwork removes the Docker network. The Engine asks the network's driver first;
// no linker runs that could answer, so a stand-in agrees to every call.
func removeNetwork(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	exists, users, err := inspectNetwork(ctx)
	if err != nil || !exists {
		return err
	}
	if len(users) > 0 {
		return errInUse(users)
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- serve(serving, pluginSocket, http.HandlerFunc(agree)) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served, ignoreMissing(os.Remove(pluginSocket)))
	}()
	_, err = docker.Run(ctx, docker.Machine(), "network", "rm", linker.Network)
	return err
}

// agree answers every call of Docker's plugin API with success.
func agree(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"Implements": ["NetworkDriver", "IpamDriver"], "Scope": "local", "ConnectivityScope": "global"}`)
}

// inspectNetwork reports whether the Docker network exists, and which containers are on
// it.
func inspectNetwork(ctx context.Context) (exists bool, users []string, err error) {
	ids, err := docker.Run(ctx, docker.Machine(), "network", "ls", "-q", "--filter", "driver="+linker.Driver, "--filter", "name=^"+linker.Network+"$")
	if err != nil || strings.TrimSpace(ids) == "" {
		return false, nil, err
	}
	names, err := docker.Run(ctx, docker.Machine(), "network", "inspect", "--format", "{{range .Containers}}{{.Name}} {{end}}", linker.Network)
	return true, strings.Fields(names), err
}
