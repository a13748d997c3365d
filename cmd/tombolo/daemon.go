package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"tombolo/framework/api"
	linkerapi "tombolo/linker/api"
)

// Where a daemon keeps things.
const (
	defaultRunDir   = "/run/tombolo"
	defaultStateDir = "/var/lib/tombolo"

	stopWait = 20 * time.Second
)

// errNoDaemon says that there is nothing to ask or to stop.
var errNoDaemon = errors.New("no daemon runs here (tombolo up starts one)")

func newDaemonCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "The embedded cluster: master, agents and framework in one process",
		Long: `The daemon is a whole cluster in one process: a Mesos master, an agent for each
host's Docker Engine, and the framework. 'tombolo up' starts one for this machine
when none answers.`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDaemonRunCommand(), newDaemonStatusCommand(), newDaemonStopCommand())
	return cmd
}

func newDaemonStatusCommand() *cobra.Command {
	var runDir string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether a daemon runs, and what it knows",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pid, err := daemonPID(runDir)
			if err != nil {
				return err
			}
			return printDaemon(cmd, pid, filepath.Join(runDir, "api.sock"))
		},
	}
	cmd.Flags().StringVar(&runDir, "run-dir", defaultRunDir, "where the daemon's socket and lock are")
	return cmd
}

func printDaemon(cmd *cobra.Command, pid int, socket string) error {
	client := api.NewClient(socket)
	defer client.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
	defer cancel()
	info, err := client.Info(ctx)
	if err != nil {
		return fmt.Errorf("a daemon runs (process %d) but does not answer: %w", pid, err)
	}
	apps, err := client.Apps(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "process\t%d\nversion\t%s\nframework\t%s (subscribed: %v)\nmaster\t%s\n", pid, info.Version, info.Framework, info.Connected, info.Master)
	for _, h := range info.Hosts {
		fmt.Fprintf(w, "host\t%s: %d tasks, linker %s\n", h.Name, h.Tasks, h.Linker)
	}
	for _, a := range apps {
		fmt.Fprintf(w, "app\t%s: %s\n", a.App, summary(a))
	}
	return w.Flush()
}

func newDaemonStopCommand() *cobra.Command {
	var runDir string
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the daemon; refused while apps or linked containers are there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot("the daemon is root's"); err != nil {
				return err
			}
			pid, err := daemonPID(runDir)
			if errors.Is(err, errNoDaemon) {
				fmt.Fprintln(cmd.OutOrStdout(), "no daemon runs")
				return nil
			}
			if err != nil {
				return err
			}
			if err := idle(cmd.Context(), runDir); err != nil {
				return err
			}
			return stopDaemon(cmd.Context(), pid, runDir)
		},
	}
	cmd.Flags().StringVar(&runDir, "run-dir", defaultRunDir, "where the daemon's socket and lock are")
	return cmd
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
		return fmt.Errorf("the daemon is needed by %s (first: tombolo -p NAME down)", strings.Join(names, ", "))
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
			used = append(used, e.Container)
		}
	}
	if len(used) > 0 {
		slices.Sort(used)
		return fmt.Errorf("containers are on the network that the daemon's linker serves: %s", strings.Join(used, ", "))
	}
	return nil
}

func stopDaemon(ctx context.Context, pid int, runDir string) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	late := time.After(stopWait)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := daemonPID(runDir); errors.Is(err, errNoDaemon) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("the daemon (process %d) does not end; its log is %s", pid, daemonLog(defaultStateDir))
		case <-tick.C:
		}
	}
}

// lockDaemon takes the lock that there is one daemon of, and writes the process
// number beside it. The kernel lets go of it when the process ends.
func lockDaemon(runDir string) (*os.File, error) {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(runDir, "daemon.pid"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if pid, perr := daemonPID(runDir); perr == nil {
			return nil, fmt.Errorf("a daemon runs here already (process %d)", pid)
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	err = errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintln(os.Getpid())))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), f.Close())
	}
	return f, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// daemonPID returns the process that holds the lock, or errNoDaemon.
func daemonPID(runDir string) (int, error) {
	f, err := os.Open(filepath.Join(runDir, "daemon.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, errNoDaemon
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); {
	case err == nil:
		return 0, errNoDaemon // closing f lets go of it
	case !errors.Is(err, unix.EWOULDBLOCK):
		return 0, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	text, err := os.ReadFile(f.Name())
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s holds no process number: %w", f.Name(), err)
	}
	return pid, nil
}

func daemonLog(stateDir string) string { return filepath.Join(stateDir, "daemon.log") }
