package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"tombolo/cmd/output"
	"tombolo/framework/api"
)

type psFlags struct {
	apiFlags
	all, quiet bool
	format     string
}

func newPsCommand(project *projectFlags) *cobra.Command {
	var f psFlags
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List the app's instances, with their hosts and states",
		Long: `List the instances of the app: the host, address, state, health and published ports
of each, and the reason if it is not up. Hosts of the app that are not ready are named on
the standard error.`,
		Args: wholeApp,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, project) },
	}
	f.register(cmd.Flags())
	cmd.Flags().BoolVarP(&f.all, "all", "a", false, "list the instances of every app")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only the IDs of the containers")
	cmd.Flags().StringVar(&f.format, "format", "table", "output `format`: table or json")
	return cmd
}

func (f *psFlags) run(cmd *cobra.Command, project *projectFlags) error {
	if err := textOrJSON(f.format, "table"); err != nil {
		return err
	}
	apps, err := f.apps(cmd, project)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	switch {
	case f.quiet:
		return output.Containers(out, apps)
	case f.format == "json":
		return output.InstancesJSON(out, apps)
	}
	output.Troubles(cmd.ErrOrStderr(), apps...)
	return output.Instances(out, apps, time.Now())
}

// apps asks for the project's app or, with --all, for every app.
func (f *psFlags) apps(cmd *cobra.Command, project *projectFlags) ([]api.Status, error) {
	client := f.client()
	defer client.Close()
	if f.all {
		apps, err := client.Apps(cmd.Context())
		return apps, f.explain(err)
	}
	name, err := project.name(cmd.Context())
	if err != nil {
		return nil, err
	}
	app, err := client.App(cmd.Context(), name)
	if errors.Is(err, api.ErrNotFound) {
		return nil, notUp(name)
	}
	return []api.Status{app}, f.explain(err)
}
