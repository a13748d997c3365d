package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"tombolo/cmd/docker"
	"tombolo/cmd/rundir"
	"tombolo/linker"
	"tombolo/overlay"
)

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
	if err := overlay.New(overlay.Options{}).Clear(ctx); err != nil {
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
