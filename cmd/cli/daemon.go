package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tombolo/cmd/daemon"
	"tombolo/cmd/output"
	"tombolo/cmd/privilege"
	"tombolo/cmd/rundir"
	"tombolo/framework/api"
)

func newDaemonCommand(version string) *cobra.Command {
	return group("daemon", "Run, show or stop the embedded cluster of this machine",
		`The daemon is a whole cluster in one process: a Mesos master, an agent for each host's
Docker Engine, and the framework. "tombolo up" starts a daemon for this machine if no
framework answers, so you rarely need these commands.`,
		newDaemonRunCommand(version), newDaemonStatusCommand(), newDaemonStopCommand())
}

func newDaemonRunCommand(version string) *cobra.Command {
	cfg, pool := daemon.Config{Version: version}, ""
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon in the foreground",
		Long: `Run the embedded cluster until SIGTERM or Ctrl-C. Containers keep running; the next
daemon takes them over. Without --cluster, the cluster is this machine, and the daemon
starts its linker too.`,
		Args:    noArgs,
		PreRunE: needRoot("the daemon starts containers and makes network interfaces"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if pool != "" {
				var err error
				if cfg.Pool, err = daemon.ParsePool(pool); err != nil {
					return usageError{err}
				}
			}
			cfg.Log = newLogger(cmd, slog.LevelInfo)
			return daemon.Run(cmd.Context(), cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.ClusterFile, "cluster", "", "JSON `file` that lists the hosts (default: this machine is the only host)")
	runDirFlag(flags, &cfg.RunDir, "`folder` for the sockets and the lock")
	flags.StringVar(&pool, "pool", "", "without --cluster: IPv4 `range` of the containers (default: the range of the last run, or a free one)")
	flags.StringVar(&cfg.StateDir, "state-dir", "", "`folder` for the state that the next run needs (default "+daemon.DefaultStateDir+"; with --cluster: the folder state beside the file)")
	return cmd
}

func newDaemonStatusCommand() *cobra.Command {
	var run rundir.Dir
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether a daemon runs, with its hosts and apps",
		Long: `Show the process and version of the daemon, its hosts and its apps. Exit code 1 if no
daemon runs.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := run.Holder()
			if err != nil {
				return err
			}
			return printDaemon(cmd, h, run.API())
		},
	}
	runDirFlag(cmd.Flags(), &run, "`folder` of the daemon's sockets and lock")
	return cmd
}

func newDaemonStopCommand() *cobra.Command {
	var run rundir.Dir
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the daemon and remove its network, unless an app or a container needs it",
		Long: `Stop this machine's daemon and remove the Docker network, the interface, the routes and
the packet policy that it made. The command fails while an app is up or a container is
on the network. The state folder stays for the next daemon: it remembers this machine's
block of addresses and the hosts of volumes.

If the daemon was killed, stop removes what it left.`,
		Args:    noArgs,
		PreRunE: needRoot("the daemon belongs to root"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return daemon.Stop(cmd.Context(), cmd.OutOrStdout(), run)
		},
	}
	runDirFlag(cmd.Flags(), &run, "`folder` of the daemon's sockets and lock")
	return cmd
}

func runDirFlag(flags *pflag.FlagSet, run *rundir.Dir, usage string) {
	flags.StringVar((*string)(run), "run-dir", string(rundir.Default), usage)
}

// printDaemon prints what the holder of the run folder answers on the socket.
func printDaemon(cmd *cobra.Command, h rundir.Holder, socket string) error {
	client := api.NewClient(socket)
	defer client.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
	defer cancel()
	info, err := client.Info(ctx)
	if errors.Is(err, fs.ErrPermission) {
		return privilege.Explain(err, socket)
	}
	if err != nil {
		return fmt.Errorf("a daemon runs (process %d) but does not answer; its log may say why (state folder %s): %w", h.PID, h.StateDir, err)
	}
	apps, err := client.Apps(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "process\t%d\nversion\t%s\nframework\t%s (subscribed: %v)\nmaster\t%s\n", h.PID, info.Version, info.Framework, info.Connected, info.Master)
	for _, h := range info.Hosts {
		fmt.Fprintf(w, "host\t%s: %d tasks, linker %s\n", h.Name, h.Tasks, h.Linker)
	}
	for _, a := range apps {
		fmt.Fprintf(w, "app\t%s: %s\n", a.App, output.Summary(a))
	}
	return w.Flush()
}
