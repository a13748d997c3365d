package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"

	"tombolo/cmd/daemon"
	"tombolo/cmd/images"
	"tombolo/cmd/output"
	"tombolo/cmd/volumes"
	"tombolo/framework/api"
	"tombolo/framework/app"
)

type downFlags struct {
	apiFlags
	volumes bool
}

func newDownCommand(project *projectFlags) *cobra.Command {
	var f downFlags
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the app and wait until its containers are gone",
		Long: `Stop the app and wait until its containers are gone. Its named volumes stay for the next
up, unless --volumes removes them. Ctrl-C ends the waiting; the app still goes down.`,
		Args: wholeApp,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, project) },
	}
	f.register(cmd.Flags())
	alreadyDefault(cmd.Flags(), "remove-orphans", "down always stops everything that belongs to the app")
	cmd.Flags().BoolVarP(&f.volumes, "volumes", "v", false, "remove the app's volumes and their data too")
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
		spec, err = f.restart(cmd, client, name)
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
	if f.onThisMachine() {
		images.RemoveOld(ctx, app.App{Name: name}, cmd.ErrOrStderr())
	}
	return removal.Run(ctx, out)
}

// restart starts the daemon if the state of one that has ended contains the app, and
// asks it for the app.
func (f *downFlags) restart(cmd *cobra.Command, client *api.Client, name string) (app.App, error) {
	left, err := daemon.LeftBehind(name)
	if err != nil {
		return app.App{}, err
	}
	if !left {
		return app.App{}, api.ErrNotFound
	}
	if err := daemon.Start(cmd.Context(), cmd.ErrOrStderr(), netip.Prefix{}); err != nil {
		return app.App{}, err
	}
	return client.Spec(cmd.Context(), name)
}

// volumesOfFile removes the volumes of an app that is down. Only its file names them.
func (f *downFlags) volumesOfFile(cmd *cobra.Command, project *projectFlags) error {
	if !f.volumes {
		return nil
	}
	spec, err := project.load(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return fmt.Errorf("--volumes: the app is down, so only its file names its volumes: %w", err)
	}
	removal, err := volumes.Plan(*spec, f.target)
	if err != nil {
		return err
	}
	return removal.Run(cmd.Context(), cmd.OutOrStdout())
}

func (f *downFlags) wait(ctx context.Context, out io.Writer, client *api.Client, name string) error {
	w := watch{client: client, app: name, show: output.NewProgress(out, name)}
	err := w.follow(ctx, func(s api.Status) error {
		if !s.Removing {
			return fmt.Errorf("%s was brought up again by another command (to stop it: tombolo down)", name)
		}
		return nil
	})
	gone := err == nil || errors.Is(err, api.ErrNotFound)
	w.show.End(!gone)
	switch {
	case gone:
		fmt.Fprintf(out, "%s is down\n", name)
		return nil
	case ctx.Err() != nil:
		fmt.Fprintf(out, "\n%s still goes down: tombolo -p %[1]s ps shows its state\n", name)
		return exitError(130)
	}
	return f.explain(err)
}
