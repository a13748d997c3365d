package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
)

// completeWait bounds how long the Tab key may take.
const completeWait = time.Second

// completer returns the words that may stand at a place in the command line. If it fails,
// it returns none.
type completer func(ctx context.Context, cmd *cobra.Command) []string

func (c completer) complete(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWait)
	defer cancel()
	return c(ctx, cmd), cobra.ShellCompDirectiveNoFileComp
}

// first completes the first argument, and leaves file names for the others to the shell.
func (c completer) first(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return c.complete(cmd, args, word)
}

func completeProject(cmd *cobra.Command) {
	must(cmd.RegisterFlagCompletionFunc("project-name", completer(appNames).complete))
	must(cmd.MarkFlagFilename("file", "yaml", "yml"))
	must(cmd.MarkFlagFilename("env-file", "env"))
	must(cmd.MarkFlagDirname("project-directory"))
}

// must panics on an error that only a misspelt flag name in this package can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// completionAPI returns a client of the API that the unfinished command line names.
func completionAPI(cmd *cobra.Command) *api.Client {
	target := apiTarget()
	if f := cmd.Flags().Lookup("api"); f != nil {
		target = f.Value.String()
	}
	return api.NewClient(target)
}

// instanceNames completes names of instances as `tombolo resolve` prints them: 1.web.shop.
func instanceNames(ctx context.Context, cmd *cobra.Command) []string {
	return namesOf(ctx, cmd, func(i api.Instance) string { return fmt.Sprintf("%d.%s.%s", i.Slot, i.Service, i.App) })
}

// hostViewNames completes names of services as the host sees them: web.shop.
func hostViewNames(ctx context.Context, cmd *cobra.Command) []string {
	names := namesOf(ctx, cmd, func(i api.Instance) string { return i.Service + "." + i.App })
	slices.Sort(names)
	return slices.Compact(names)
}

func namesOf(ctx context.Context, cmd *cobra.Command, name func(api.Instance) string) []string {
	var names []string
	for _, a := range appsUp(ctx, cmd) {
		for _, i := range a.Instances {
			names = append(names, name(i))
		}
	}
	return names
}

func appNames(ctx context.Context, cmd *cobra.Command) []string {
	var names []string
	for _, a := range appsUp(ctx, cmd) {
		names = append(names, a.App)
	}
	return names
}

func appsUp(ctx context.Context, cmd *cobra.Command) []api.Status {
	client := completionAPI(cmd)
	defer client.Close()
	apps, err := client.Apps(ctx)
	if err != nil {
		return nil
	}
	return apps
}

func (p *projectFlags) serviceNames(ctx context.Context, cmd *cobra.Command) []string {
	name, err := p.name(ctx)
	if err != nil {
		return nil
	}
	client := completionAPI(cmd)
	defer client.Close()
	spec, err := client.Spec(ctx, name)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(spec.Services))
}

func labHosts(context.Context, *cobra.Command) []string {
	l, err := lab.Load()
	if err != nil {
		return nil
	}
	var names []string
	for _, h := range l.Hosts {
		names = append(names, h.Name)
	}
	return names
}
