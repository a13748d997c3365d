package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tombolo/framework/api"
)

// Where a daemon keeps things.
const (
	defaultRunDir   = "/run/tombolo"
	defaultStateDir = "/var/lib/tombolo"
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

func newDaemonStatusCommand() *cobra.Command {
	var runDir string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether a daemon runs, and what it knows",
		Args:  noArgs,
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
	if errors.Is(err, fs.ErrPermission) {
		return forbidden(err, socket)
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
		fmt.Fprintf(w, "app\t%s: %s\n", a.App, summary(a))
	}
	return w.Flush()
}
