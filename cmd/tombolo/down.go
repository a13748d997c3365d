package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/test/lab"
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
		Args:  wholeApp,
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.run(cmd, project) },
	}
	f.register(cmd.Flags())
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
	if errors.Is(err, api.ErrNotFound) || absent(err) && f.target == defaultAPI {
		fmt.Fprintf(out, "%s is not up\n", name)
		return nil
	}
	if err != nil {
		return f.explain(err)
	}
	if err := client.DeleteApp(ctx, name, f.volumes); err != nil {
		return f.explain(err)
	}
	if err := f.wait(ctx, out, client, name); err != nil {
		return err
	}
	if f.volumes {
		return removeVolumes(ctx, out, spec)
	}
	return nil
}

func (f *downFlags) wait(ctx context.Context, out io.Writer, client *api.Client, name string) error {
	show := newProgress(out, name)
	again := func(error) { show.note("the framework does not answer; looking for it") }
	err := follow(ctx, client, name, again, func(s api.Status) error {
		show.status(s)
		if !s.Removing {
			return fmt.Errorf("%s was brought up again meanwhile", name)
		}
		return nil
	})
	show.end()
	switch {
	case err == nil || errors.Is(err, api.ErrNotFound):
		fmt.Fprintf(out, "%s is down\n", name)
		return nil
	case ctx.Err() != nil:
		fmt.Fprintf(out, "\n%s goes on going down without you\n", name)
		return exitError(130)
	}
	return f.explain(err)
}

// removeVolumes removes the app's own named volumes from the Engines that can be
// reached from here: this machine's, or a lab's.
func removeVolumes(ctx context.Context, out io.Writer, spec app.App) error {
	var names []string
	for _, v := range spec.Volumes {
		if !v.External {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	engines, err := engines()
	if err != nil {
		return err
	}
	var errs []error
	for _, host := range engines {
		for _, name := range names {
			errs = append(errs, removeVolume(ctx, host, name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Fprintf(out, "removed volumes: %s\n", strings.Join(names, ", "))
	return nil
}

func engines() ([]string, error) {
	l, err := lab.Load()
	if errors.Is(err, lab.ErrNone) {
		return []string{machineDocker()}, nil
	}
	if err != nil {
		return nil, err
	}
	var all []string
	for _, h := range l.Hosts {
		if h.Alive() {
			all = append(all, h.DockerHost())
		}
	}
	return all, nil
}

// removeVolume tries for a while: the last container that used the volume may
// just be going.
func removeVolume(ctx context.Context, host, name string) error {
	for tries := 0; ; tries++ {
		said, err := exec.CommandContext(ctx, "docker", "-H", host, "volume", "rm", "-f", name).CombinedOutput()
		if err == nil {
			return nil
		}
		if tries == 20 || ctx.Err() != nil || !strings.Contains(string(said), "in use") {
			return fmt.Errorf("volume %s on %s: %w: %s", name, host, err, oneLine(string(said)))
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}
