package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
	linkerapi "tombolo/linker/api"
	"tombolo/linker/record"
)

const stopWait = 20 * time.Second

func newDaemonStopCommand() *cobra.Command {
	var runDir string
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the daemon and take its network down; refused while apps or linked containers are there",
		Long: `Stop this machine's daemon and remove what it made: the Docker network, the
interface, routes and packet policy. It is refused while an app is up or a container
is on the network. What the next daemon should know (the addresses of this machine,
which volumes are where) stays in the state folder.

Where a daemon was killed, stop removes what it left.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot("the daemon is root's"); err != nil {
				return err
			}
			return runDaemonStop(cmd, runDir)
		},
	}
	cmd.Flags().StringVar(&runDir, "run-dir", defaultRunDir, "where the daemon's socket and lock are")
	return cmd
}

func runDaemonStop(cmd *cobra.Command, runDir string) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	h, err := daemonHolder(runDir)
	running := !errors.Is(err, errNoDaemon)
	if running {
		if err != nil {
			return err
		}
		if err := mayStop(h); err != nil {
			return err
		}
		if err := idle(ctx, runDir); err != nil {
			return err
		}
		if err := stopDaemon(ctx, h, runDir); err != nil {
			return err
		}
	}
	left := leftovers{runDir: runDir, stateDir: h.StateDir}
	switch {
	case h.Kind == kindMachine || h.Kind == kindStopping:
		if err := left.remove(ctx); err != nil {
			return fmt.Errorf("the daemon is stopped, but not all that it made is gone (again: tombolo daemon stop): %w", err)
		}
		fmt.Fprintf(out, "stopped; the network is gone, the state stays in %s\n", h.StateDir)
	case running:
		fmt.Fprintln(out, "stopped")
	default:
		fmt.Fprintln(out, "no daemon runs")
	}
	return nil
}

// mayStop refuses what is not the user's to stop here.
func mayStop(h holder) error {
	if h.Kind == kindStopping {
		return h.inTheWay()
	}
	if h.Kind == kindFramework {
		return fmt.Errorf("process %d is the framework of a cluster, no daemon: stop it as it was started (systemctl stop tombolo-framework)", h.PID)
	}
	if l, err := lab.Load(); err == nil && l.Control.PID == h.PID && l.Control.Alive() {
		return errors.New("this daemon is the lab's, and goes with it: tombolo lab down")
	}
	return nil
}

// idle refuses while anything depends on the daemon: apps, or containers that its
// linker gave an address.
func idle(ctx context.Context, runDir string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := api.NewClient(filepath.Join(runDir, "api.sock"))
	defer client.Close()
	apps, err := client.Apps(ctx)
	if err != nil {
		return fmt.Errorf("cannot tell whether the daemon is needed: %w", err)
	}
	if len(apps) > 0 {
		var names []string
		for _, a := range apps {
			names = append(names, a.App)
		}
		return fmt.Errorf("the daemon is needed by %s (first: tombolo -p %s down)", strings.Join(names, ", "), names[0])
	}
	socket := filepath.Join(runDir, "linker.sock")
	if _, err := os.Stat(socket); err != nil {
		return nil
	}
	return linkerIdle(ctx, socket)
}

func linkerIdle(ctx context.Context, socket string) error {
	linker := linkerapi.NewClient(socket)
	defer linker.Close()
	status, err := linker.Status(ctx)
	if err != nil {
		return nil // a linker that does not answer serves nobody
	}
	catalog, err := linker.Catalog(ctx)
	if err != nil {
		return fmt.Errorf("cannot tell whether the linker is needed: %w", err)
	}
	var used []string
	for _, e := range catalog.Endpoints {
		if e.Host == status.Host.Name {
			used = append(used, containerName(e))
		}
	}
	if len(used) > 0 {
		slices.Sort(used)
		return errInUse(used)
	}
	return nil
}

// errInUse names the containers that would lose their network.
func errInUse(containers []string) error {
	list := strings.Join(containers, " ")
	return fmt.Errorf("containers are on the network that the daemon's linker serves: %s (first: docker rm -f %[1]s)", list)
}

func containerName(e *record.Endpoint) string {
	if e.ContainerName != "" {
		return e.ContainerName
	}
	return e.Container[:min(12, len(e.Container))]
}

func stopDaemon(ctx context.Context, h holder, runDir string) error {
	if err := syscall.Kill(h.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", h.PID, err)
	}
	late := time.After(stopWait)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := daemonHolder(runDir); errors.Is(err, errNoDaemon) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("the daemon (process %d) does not end; its log is %s", h.PID, daemonLog(h.StateDir))
		case <-tick.C:
		}
	}
}
