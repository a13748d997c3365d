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
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "The embedded cluster: master, agents and framework in one process",
		Long: `The daemon is a whole cluster in one process: a Mesos master, an agent for each
host's Docker Engine, and the framework. 'tombolo up' starts one for this machine
when none answers.`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDaemonRunCommand(version), newDaemonStatusCommand(), newDaemonStopCommand())
	return cmd
}

func newDaemonRunCommand(version string) *cobra.Command {
	cfg := daemon.Config{Version: version}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon in the foreground",
		Long: `Run the embedded cluster until SIGTERM or Ctrl-C. Containers run on; the next
daemon takes them over. Without --cluster the cluster is this machine, and its
linker is started too.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := privilege.NeedRoot("the daemon starts containers and makes network interfaces"); err != nil {
				return err
			}
			cfg.Log = newLogger(cmd, slog.LevelInfo)
			return daemon.Run(cmd.Context(), cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.ClusterFile, "cluster", "", "JSON file that names the hosts (default: this machine)")
	runDirFlag(flags, &cfg.RunDir, "for the API's socket and the lock")
	flags.StringVar(&cfg.StateDir, "state-dir", "", "for what a restart needs (default "+daemon.DefaultStateDir+"; with --cluster: the folder state beside the file)")
	return cmd
}

func newDaemonStatusCommand() *cobra.Command {
	var run rundir.Dir
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether a daemon runs, and what it knows",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := run.Holder()
			if err != nil {
				return err
			}
			return printDaemon(cmd, h.PID, run.API())
		},
	}
	runDirFlag(cmd.Flags(), &run, "where the daemon's socket and lock are")
	return cmd
}

func newDaemonStopCommand() *cobra.Command {
	var run rundir.Dir
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
			if err := privilege.NeedRoot("the daemon belongs to root"); err != nil {
				return err
			}
			return daemon.Stop(cmd.Context(), cmd.OutOrStdout(), run)
		},
	}
	runDirFlag(cmd.Flags(), &run, "where the daemon's socket and lock are")
	return cmd
}

// runDirFlag registers --run-dir.
func runDirFlag(flags *pflag.FlagSet, run *rundir.Dir, usage string) {
	flags.StringVar((*string)(run), "run-dir", string(rundir.Default), usage)
}

// printDaemon prints what the daemon with that number tells over its socket.
func printDaemon(cmd *cobra.Command, pid int, socket string) error {
	client := api.NewClient(socket)
	defer client.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
	defer cancel()
	info, err := client.Info(ctx)
	if errors.Is(err, fs.ErrPermission) {
		return privilege.Explain(err, socket)
	}
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
		fmt.Fprintf(w, "app\t%s: %s\n", a.App, output.Summary(a))
	}
	return w.Flush()
}
