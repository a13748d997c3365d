package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"tombolo/linker"
	"tombolo/overlay"
)

// leftovers are what a linker leaves on its machine when it ends, so that containers
// keep their network while it restarts: here nobody will restart it.
type leftovers struct{ runDir, stateDir string }

// pluginSocket is where Docker looks for our driver.
const pluginSocket = "/run/docker/plugins/" + linker.Driver + ".sock"

// remove takes the Docker network, the interface, routes, policy and sockets away.
// It is refused while a container is on the network or a linker is at work. It
// holds the daemon's lock, which goes last, so that no daemon starts meanwhile.
func (l leftovers) remove(ctx context.Context) error {
	daemon, err := lockDaemon(l.runDir, holder{Kind: kindStopping, StateDir: l.stateDir})
	if err != nil {
		return err
	}
	defer daemon.Close()
	alone, err := l.lockLinker()
	if err != nil {
		return err
	}
	defer alone.Close()
	if err := removeNetwork(ctx); err != nil {
		return err
	}
	if err := overlay.New(overlay.Options{}).Clear(ctx); err != nil {
		return fmt.Errorf("remove the interface: %w", err)
	}
	var errs []error
	for _, name := range []string{"api.sock", "master.sock", "linker.sock", "daemon.pid"} {
		if err := os.Remove(filepath.Join(l.runDir, name)); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// lockLinker takes the lock that a linker holds while it runs.
func (l leftovers) lockLinker() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(l.stateDir, "linker", "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the linker: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errors.New("a linker is at work in " + l.stateDir)
	}
	return f, nil
}

// removeNetwork removes the Docker network. The Engine asks the network's driver
// about it, and there is no linker any more: a stand-in says yes to everything.
func removeNetwork(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	used, err := networkUsers(ctx)
	switch {
	case errors.Is(err, errNoNetwork):
		return nil
	case err != nil:
		return err
	case len(used) > 0:
		return errInUse(used)
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- serveUnix(serving, pluginSocket, http.HandlerFunc(agree)) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served, ignoreMissing(os.Remove(pluginSocket)))
	}()
	_, err = engine(ctx, "network", "rm", linker.Network)
	return err
}

// agree answers every call of Docker's plugin API: whatever it was, it is done.
func agree(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"Implements": ["NetworkDriver", "IpamDriver"], "Scope": "local", "ConnectivityScope": "global"}`)
}

var errNoNetwork = errors.New("there is no such network")

// networkUsers names the containers that are on the Docker network.
func networkUsers(ctx context.Context) ([]string, error) {
	ours, err := engine(ctx, "network", "ls", "-q", "--filter", "driver="+linker.Driver, "--filter", "name=^"+linker.Network+"$")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(ours) == "" {
		return nil, errNoNetwork
	}
	names, err := engine(ctx, "network", "inspect", "--format", "{{range .Containers}}{{.Name}} {{end}}", linker.Network)
	return strings.Fields(names), err
}

// engine runs a docker command on this machine's Engine and returns what it prints.
func engine(ctx context.Context, args ...string) (string, error) {
	cmd := machineCommand(ctx, args...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s %s: %w: %s", args[0], args[1], err, oneLine(complaints.String()))
	}
	return string(out), nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
