package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tombolo/cmd/daemon"
	"tombolo/cmd/images"
	"tombolo/cmd/output"
	"tombolo/cmd/rundir"
	"tombolo/framework/api"
	"tombolo/framework/app"
)

// upFlags are the flags of `tombolo up`.
type upFlags struct {
	apiFlags
	detach, waits, noBuild bool
	timeout                seconds
	scales                 []string
}

func newUpCommand(project *projectFlags) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring the app up, or make it what its file says now",
		Long: `Bring the app up and wait until every instance is healthy and its dependents can
resolve it. Instances that the file did not change run on.

Where no framework answers, one is started on this machine: its Docker Engine is
then the cluster. Ctrl-C ends the waiting, not the app.`,
		Args: wholeApp,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, project) },
	}
	flags := cmd.Flags()
	f.register(flags)
	f.registerWait(flags)
	flags.BoolVar(&f.waits, "wait", false, "wait, which up does but with --detach")
	flags.BoolVar(&f.noBuild, "no-build", false, "take images as they are instead of building those with build:")
	flags.StringArrayVar(&f.scales, "scale", nil, "SERVICE=N: so many instances, whatever the file says; may be repeated")
	already(flags, "build", "images with build: are built at each up")
	already(flags, "remove-orphans", "what the file no longer names ends at each up")
	already(flags, "quiet-pull", "hosts pull in silence")
	cmd.MarkFlagsMutuallyExclusive("build", "no-build")
	return cmd
}

// registerWait registers the flags of whoever waits for an app.
func (f *upFlags) registerWait(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.detach, "detach", "d", false, "do not wait")
	flags.Var(&f.timeout, "wait-timeout", "how long to wait at most, in seconds or like 1m30s (default: as long as there is hope)")
}

// already registers a flag of docker compose's that asks for what is so anyway.
func already(flags *pflag.FlagSet, name, what string) {
	flags.Bool(name, false, what)
	must(flags.MarkHidden(name))
}

func (f *upFlags) run(cmd *cobra.Command, project *projectFlags) error {
	ctx := cmd.Context()
	numbers, err := parseScale(f.scales)
	if err != nil {
		return usageError{fmt.Errorf("--scale: %w", err)}
	}
	wanted, err := project.load(ctx, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if err := setReplicas(wanted, numbers); err != nil {
		return err
	}
	client := f.client()
	defer client.Close()
	info, err := client.Info(ctx)
	if f.startable(err) {
		if err := daemon.Start(ctx, cmd.ErrOrStderr()); err != nil {
			return err
		}
		info, err = client.Info(ctx)
	}
	if err != nil {
		return f.explain(err)
	}
	holder, herr := rundir.At(f.target).Holder()
	stderr := cmd.ErrOrStderr()
	builder := images.Builder{
		Out: stderr, Terminal: output.TerminalSize(stderr) != nil, Registry: info.Registry,
		Machine: herr == nil && holder.Kind == rundir.Machine, NoBuild: f.noBuild,
	}
	if err := builder.Prepare(ctx, wanted); err != nil {
		return err
	}
	return f.put(cmd, client, wanted)
}

// put makes the app wanted and waits, if it shall, until it is so.
func (f *upFlags) put(cmd *cobra.Command, client *api.Client, wanted *app.App) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	revision, err := client.PutApp(ctx, *wanted)
	if err != nil {
		return f.explain(err)
	}
	if f.detach && !f.waits {
		fmt.Fprintf(out, "%s is on its way (see: tombolo -p %s ps)\n", wanted.Name, wanted.Name)
		return nil
	}
	return f.wait(ctx, out, client, wanted.Name, revision)
}

// errSettled ends following: the app is up, or will not be.
var errSettled = errors.New("settled")

// wait follows the app until it is up or has no hope.
func (f *upFlags) wait(ctx context.Context, out io.Writer, client *api.Client, name string, revision uint64) error {
	if limit := f.timeout.Duration; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s is not up after %v", name, limit))
		defer cancel()
	}
	show := output.NewProgress(out, name)
	var last api.Status
	err := follow(ctx, client, name, func() { show.Note(lookingAgain) }, func(s api.Status) error {
		last = s
		show.Status(s)
		if s.Revision >= revision && (s.Up || s.Failed != "" || s.Removing) {
			return errSettled
		}
		return nil
	})
	show.End(true)
	switch {
	case err == nil || errors.Is(err, errSettled) && last.Removing:
		return fmt.Errorf("%s was taken down meanwhile", name)
	case errors.Is(err, errSettled) && last.Up:
		f.printUp(ctx, out, client, last)
		return nil
	case errors.Is(err, errSettled):
		output.Failures(out, last)
		return fmt.Errorf("%s cannot come up: %s\n(what is up stays up: mend the file and run up again, or end it all: tombolo -p %[1]s down)", name, last.Failed)
	case errors.Is(context.Cause(ctx), context.Canceled):
		fmt.Fprintf(out, "\n%s goes on coming up without you: tombolo -p %[1]s ps shows how, tombolo -p %[1]s down ends it\n", name)
		return exitError(130)
	case ctx.Err() != nil:
		output.Failures(out, last)
		return context.Cause(ctx)
	}
	return f.explain(err)
}

// printUp says what is up and where its ports are. Without an answer from the API, hosts
// go by their names.
func (f *upFlags) printUp(ctx context.Context, out io.Writer, client *api.Client, s api.Status) {
	info, err := client.Info(ctx)
	if err != nil {
		info = api.Info{}
	}
	output.Up(out, s, info.Hosts)
}
