package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"tombolo/cmd/output"
	"tombolo/framework/api"
)

type logsFlags struct {
	apiFlags
	output.LogOptions
	follow bool
	tail   string
}

func newLogsCommand(project *projectFlags) *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:   "logs [SERVICE...]",
		Short: "Show the output of the app's instances",
		Long: `Show the output of the app's instances, or of those of the named services. With --follow,
go on until Ctrl-C, also with instances that start later.`,
		Example:           "  tombolo logs -p shop -f web\n  tombolo -f shop/compose.yaml logs --tail 20",
		ValidArgsFunction: completer(project.serviceNames).complete,
		RunE:              func(cmd *cobra.Command, services []string) error { return f.run(cmd, project, services) },
	}
	flags := cmd.Flags()
	f.register(flags)
	project.register(flags, "") // -f is --follow
	completeProject(cmd)
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on with new lines until Ctrl-C")
	flags.StringVarP(&f.tail, "tail", "n", "all", "`number` of earlier lines of each instance, or all")
	flags.BoolVarP(&f.Timestamps, "timestamps", "t", false, "show when each line was printed")
	flags.BoolVar(&f.NoColour, "no-color", false, "print no colours on a terminal")
	flags.BoolVar(&f.NoPrefix, "no-log-prefix", false, "print lines without the name of their instance")
	return cmd
}

func (f *logsFlags) run(cmd *cobra.Command, project *projectFlags, services []string) error {
	ctx := cmd.Context()
	query, err := f.query(services)
	if err != nil {
		return err
	}
	client := f.client()
	defer client.Close()
	spec, err := f.spec(ctx, client, project)
	if err != nil {
		return err
	}
	for _, s := range services {
		if _, ok := spec.Services[s]; !ok {
			return noSuchService(spec.Name, s)
		}
	}
	log := output.NewLog(cmd.OutOrStdout(), spec.Services, f.LogOptions)
	err = client.Logs(ctx, spec.Name, query, func(line api.LogLine) error {
		if len(services) > 0 && !slices.Contains(services, line.Service) {
			return nil
		}
		if line.Stream == api.StreamNotice {
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s.%d: %s\n", line.Service, line.Slot, line.Line)
			return err
		}
		return log.Print(line)
	})
	if f.follow && ctx.Err() != nil && !errors.Is(err, api.ErrNotFound) {
		return nil // Ctrl-C is how following ends
	}
	return f.explain(err)
}

// query asks for the lines of one service or, if several are wanted, of all: the API
// cannot choose several.
func (f *logsFlags) query(services []string) (api.LogQuery, error) {
	query := api.LogQuery{Follow: f.follow}
	if len(services) == 1 {
		query.Service = services[0]
	}
	if f.tail == "all" {
		return query, nil
	}
	n, err := strconv.Atoi(f.tail)
	if err != nil || n < 0 {
		return query, usageError{fmt.Errorf("--tail %q is neither a number nor all", f.tail)}
	}
	if query.Tail = n; n == 0 {
		query.Tail = -1 // to the API, 0 means all
	}
	return query, nil
}
