package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// exitError is the exit code of a command that has already printed why it failed.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Run executes the command line and returns the exit code: 0 success, 1 failure,
// 2 a wrong command line, 130 interrupted; `lab exec` returns that of its command.
// release names the build.
func Run(args []string, release string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills the process
	root := newRootCommand(versionOf(release))
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var exit exitError
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "tombolo: %v\n", err)
		return 2
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return 130
	default:
		fmt.Fprintf(os.Stderr, "tombolo: %v\n", err)
		return 1
	}
}

// usageError is an error in the command line or the environment.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func newRootCommand(version string) *cobra.Command {
	root := &cobra.Command{
		Use:   "tombolo",
		Short: "Link Docker containers across hosts",
		Long: `Tombolo starts the services of a Compose file on the hosts of a cluster and links
them: containers reach each other by name, on whatever host they run, if and only if
the file links them.

Run "sudo tombolo up" in a folder with a Compose file to begin. Without a cluster, it
uses the Docker Engine of this machine. "tombolo lab up" makes several virtual hosts on
this machine. On a real cluster, "tombolo linker" runs on every host and "tombolo
framework" on one.

Commands and flags have the names that docker compose gives them. Commands of docker
compose that Tombolo does not have, like exec and restart, fail and name an alternative.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		TraverseChildren: true, // lets project flags stand before the command's name, as with docker compose
	}
	var project projectFlags
	project.register(root.Flags(), "f")
	completeProject(root)
	root.SetFlagErrorFunc(explainFlag)
	root.AddCommand(project.accept(
		newUpCommand(&project), newDownCommand(&project), newPsCommand(&project), newConfigCommand(&project),
		newScaleCommand(&project),
	)...)
	root.AddCommand(missingComposeCommands()...)
	root.AddCommand(newDoctorCommand(), newExplainCommand(), newLogsCommand(&project), newDaemonCommand(version), newFrameworkCommand(version),
		newLinkerCommand(version), newHostCommand(), newVolumeCommand(), newResolveCommand(), newLabCommand(), newVersionCommand(version))
	return root
}

// versionOf names the release and, where the binary knows it, the commit.
func versionOf(release string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return release + " (" + s.Value[:12] + ")"
		}
	}
	return release
}

func newVersionCommand(version string) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "tombolo %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
}
