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

// completeWait bounds what a press of the Tab key may wait for.
const completeWait = time.Second

// completer offers the words that may stand at a place; errors offer none.
type completer func(ctx context.Context, cmd *cobra.Command) []string

func (c completer) complete(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, completeWait)
	defer cancel()
	return c(ctx, cmd), cobra.ShellCompDirectiveNoFileComp
}

// first offers words for the first argument only, and files after it.
func (c completer) first(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return c.complete(cmd, args, word)
}

// completeProject makes the project flags of cmd complete.
func completeProject(cmd *cobra.Command) {
	must(cmd.RegisterFlagCompletionFunc("project-name", completer(appNames).complete))
	must(cmd.MarkFlagFilename("file", "yaml", "yml"))
	must(cmd.MarkFlagFilename("env-file", "env"))
	must(cmd.MarkFlagDirname("project-directory"))
}

// must is for what fails only where a flag's name is misspelt here.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// completionAPI asks the API that the command line, so far, means.
func completionAPI(cmd *cobra.Command) *api.Client {
	target := apiTarget()
	if f := cmd.Flags().Lookup("api"); f != nil {
		target = f.Value.String()
	}
	return api.NewClient(target)
}

func runningApps(ctx context.Context, cmd *cobra.Command) []api.Status {
	client := completionAPI(cmd)
	defer client.Close()
	apps, err := client.Apps(ctx)
	if err != nil {
		return nil
	}
	return apps
}

func appNames(ctx context.Context, cmd *cobra.Command) []string {
	var names []string
	for _, a := range runningApps(ctx, cmd) {
		names = append(names, a.App)
	}
	return names
}

// instanceNames are as `tombolo resolve` prints them: 1.web.shop.
func instanceNames(ctx context.Context, cmd *cobra.Command) []string {
	var names []string
	for _, a := range runningApps(ctx, cmd) {
		for _, i := range a.Instances {
			names = append(names, fmt.Sprintf("%d.%s.%s", i.Slot, i.Service, i.App))
		}
	}
	return names
}

// hostViewNames are the names of services as the host sees them: web.shop.
func hostViewNames(ctx context.Context, cmd *cobra.Command) []string {
	names := map[string]bool{}
	for _, a := range runningApps(ctx, cmd) {
		for _, i := range a.Instances {
			names[i.Service+"."+i.App] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// serviceNames are those of the project.
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
