package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tombolo/cmd/daemon"
	"tombolo/cmd/output"
	"tombolo/cmd/volumes"
	"tombolo/framework/api"
	"tombolo/framework/app"
)

// downFlags are the flags of `tombolo down`.
type downFlags struct {
	apiFlags
	volumes bool
}

func newDownCommand(project *projectFlags) *cobra.Command {
	var f downFlags
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End the app and wait until it is gone",
		Long: `End the app and wait until its containers are gone. Its named volumes stay for the
next up, unless --volumes is given. Ctrl-C ends the waiting, not the going down.`,
		Args: wholeApp,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, project) },
	}
	f.register(cmd.Flags())
	already(cmd.Flags(), "remove-orphans", "down ends whatever belongs to the app, named in its file or not")
	cmd.Flags().BoolVarP(&f.volumes, "volumes", "v", false, "remove the app's named volumes too, with all that is in them")
	return cmd
}

func (f *downFlags) run(cmd *cobra.Command, project *projectFlags) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	name, err := project.name(ctx)
	if err != nil {
		return err
	}
	client := f.client()
	defer client.Close()
	spec, err := client.Spec(ctx, name)
	if f.startable(err) {
		spec, err = f.wake(cmd, client, name)
	}
	if errors.Is(err, api.ErrNotFound) {
		fmt.Fprintf(out, "%s is not up\n", name)
		return f.volumesOfFile(cmd, project)
	}
	if err != nil {
		return f.explain(err)
	}
	var removal volumes.Removal
	if f.volumes {
		if removal, err = volumes.Plan(spec, f.target); err != nil {
			return err
		}
	}
	if err := client.DeleteApp(ctx, name, f.volumes); err != nil {
		return f.explain(err)
	}
	if err := f.wait(ctx, out, client, name); err != nil {
		return err
	}
	return removal.Run(ctx, out)
}

// wake starts the daemon again where one that has ended left the app behind.
func (f *downFlags) wake(cmd *cobra.Command, client *api.Client, name string) (app.App, error) {
	asleep, err := daemon.LeftBehind(name)
	if err != nil {
		return app.App{}, err
	}
	if !asleep {
		return app.App{}, api.ErrNotFound
	}
	if err := daemon.Start(cmd.Context(), cmd.ErrOrStderr()); err != nil {
		return app.App{}, err
	}
	return client.Spec(cmd.Context(), name)
}

// volumesOfFile removes what an app that is down left behind, as its file tells.
func (f *downFlags) volumesOfFile(cmd *cobra.Command, project *projectFlags) error {
	if !f.volumes {
		return nil
	}
	spec, err := project.load(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return fmt.Errorf("--volumes: which they are is known from the app's file alone: %w", err)
	}
	removal, err := volumes.Plan(*spec, f.target)
	if err != nil {
		return err
	}
	return removal.Run(cmd.Context(), cmd.OutOrStdout())
}

func (f *downFlags) wait(ctx context.Context, out io.Writer, client *api.Client, name string) error {
	show := output.NewProgress(out, name)
	err := follow(ctx, client, name, func() { show.Note(lookingAgain) }, func(s api.Status) error {
		show.Status(s)
		if !s.Removing {
			return fmt.Errorf("%s was brought up again meanwhile", name)
		}
		return nil
	})
	gone := err == nil || errors.Is(err, api.ErrNotFound)
	show.End(!gone)
	switch {
	case gone:
		fmt.Fprintf(out, "%s is down\n", name)
		return nil
	case ctx.Err() != nil:
		fmt.Fprintf(out, "\n%s goes on going down without you\n", name)
		return exitError(130)
	}
	return f.explain(err)
}
