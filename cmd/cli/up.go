package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tombolo/cmd/daemon"
	"tombolo/cmd/images"
	"tombolo/cmd/output"
	"tombolo/cmd/rundir"
	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/internal/wake"
)

type upFlags struct {
	apiFlags
	detach, waits, noBuild bool
	recreateVolumes        bool
	timeout                time.Duration // 0: wait until the app is up or has failed
	scales                 []string
	cpus                   float64 // that an instance reserves whose service says nothing
	pool                   string
}

func newUpCommand(project *projectFlags) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring the app up, or change it to what its file now says",
		Long: `Bring the app up and wait until every instance is healthy and the services linked to it
can resolve its name. If the app is up, change it to what its file now says; instances
that the change does not concern keep running.

If no framework answers, up starts a daemon on this machine, which uses this machine's
Docker Engine as the cluster; that needs root. Ctrl-C ends the waiting, not the app.

Flags of docker compose that ask for what up does anyway (--build, --quiet-pull,
--remove-orphans) are accepted. Others (--force-recreate, --no-deps, --pull, ...) fail
and name an alternative.`,
		Example: "  sudo tombolo up\n  tombolo -f shop/compose.yaml up --detach\n  tombolo up --scale web=3",
		Args:    wholeApp,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd, project) },
	}
	flags := cmd.Flags()
	f.register(flags)
	f.registerWait(flags)
	flags.BoolVar(&f.waits, "wait", false, "wait until the app is up, also with --detach")
	flags.BoolVar(&f.noBuild, "no-build", false, "use the images that exist, instead of building those of services with build:")
	flags.BoolVar(&f.recreateVolumes, "recreate-volumes", false, "start with empty volumes in place of those that are gone from their hosts, with their data")
	flags.Float64Var(&f.cpus, "default-cpus", app.DefaultCPUs, "`CPUs` that each instance reserves if its service has neither a reservation nor a lower limit; another number than last time replaces these instances")
	flags.StringArrayVar(&f.scales, "scale", nil, "`SERVICE=N`: start N instances, whatever the file says; may be repeated")
	flags.StringVar(&f.pool, "pool", "", "if up starts a daemon: IPv4 `range` of the containers (default: the range of the last daemon, or a free one)")
	alreadyDefault(flags, "build", "up always builds the images of services with build:")
	alreadyDefault(flags, "remove-orphans", "up always stops services that the file no longer names")
	alreadyDefault(flags, "quiet-pull", "hosts always pull in silence")
	cmd.MarkFlagsMutuallyExclusive("build", "no-build")
	return cmd
}

// registerWait registers the flags of commands that wait for an app.
func (f *upFlags) registerWait(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.detach, "detach", "d", false, "do not wait until the app is up")
	flags.Func("wait-timeout", "longest `time` to wait, in seconds or like 1m30s (default: until the app is up or has failed)", f.setTimeout)
}

// setTimeout takes a number of seconds, as docker compose does, or a duration like 1m30s.
func (f *upFlags) setTimeout(text string) error {
	d, err := time.ParseDuration(text)
	if n, nerr := strconv.ParseUint(text, 10, 31); nerr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 {
		return fmt.Errorf("%q is neither a number of seconds nor like 1m30s", text)
	}
	f.timeout = d
	return nil
}

// alreadyDefault registers a hidden flag of docker compose that asks for what the
// command does anyway.
func alreadyDefault(flags *pflag.FlagSet, name, what string) {
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
	if err := reserveCPUs(wanted, f.cpus); err != nil {
		return usageError{err}
	}
	client := f.client()
	defer client.Close()
	info, err := f.framework(cmd, client)
	if err != nil {
		return f.explain(err)
	}
	if err := f.prepareImages(cmd, info.Registry, wanted); err != nil {
		return err
	}
	err = f.put(cmd, client, wanted)
	if f.onThisMachine() && ctx.Err() == nil {
		images.RemoveOld(ctx, *wanted, cmd.ErrOrStderr())
	}
	return err
}

// leastCPUs is the smallest number of CPUs that Mesos' agents accept for a task.
const leastCPUs = 0.01

// reserveCPUs makes the services that say nothing about CPUs reserve this many.
func reserveCPUs(wanted *app.App, cpus float64) error {
	if !(cpus >= leastCPUs) || math.IsInf(cpus, 1) { // not a number is no number of CPUs either
		return fmt.Errorf("--default-cpus: %v is not a number of CPUs from %v", cpus, leastCPUs)
	}
	if cpus == app.DefaultCPUs {
		return nil // the framework's own
	}
	for name, s := range wanted.Services {
		if limit := s.Resources.CPULimit; s.Resources.CPUs == 0 && (limit == 0 || cpus < limit) {
			s.Resources.CPUs = cpus
			wanted.Services[name] = s
		}
	}
	return nil
}

// framework asks the framework what it is. If none answers, it starts a daemon on this machine.
func (f *upFlags) framework(cmd *cobra.Command, client *api.Client) (info api.Info, err error) {
	var pool netip.Prefix
	if f.pool != "" {
		if pool, err = daemon.ParsePool(f.pool); err != nil {
			return info, usageError{err}
		}
	}
	info, err = client.Info(cmd.Context())
	switch {
	case f.startable(err):
		if err := daemon.Start(cmd.Context(), cmd.ErrOrStderr(), pool); err != nil {
			return info, err
		}
		return client.Info(cmd.Context())
	case err == nil && pool.IsValid():
		err = daemon.CheckRunning(rundir.At(f.target), pool)
	}
	return info, err
}

func (f *upFlags) prepareImages(cmd *cobra.Command, registry *api.Registry, wanted *app.App) error {
	out := cmd.ErrOrStderr()
	builder := images.Builder{
		Out: out, Terminal: output.TerminalSize(out) != nil, Registry: registry,
		Machine: f.onThisMachine(), NoBuild: f.noBuild,
	}
	return builder.Prepare(cmd.Context(), wanted)
}

// put submits the app and, unless --detach says otherwise, waits until it is up.
func (f *upFlags) put(cmd *cobra.Command, client *api.Client, wanted *app.App) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	revision, err := client.PutApp(ctx, *wanted)
	if err != nil {
		return f.explain(err)
	}
	if f.recreateVolumes {
		if err := client.RecreateVolumes(ctx, wanted.Name); err != nil {
			return f.explain(err)
		}
	}
	if f.detach && !f.waits {
		fmt.Fprintf(out, "%s is on its way (see: tombolo -p %s ps)\n", wanted.Name, wanted.Name)
		return nil
	}
	w := watch{client: client, app: wanted.Name, show: output.NewProgress(out, wanted.Name)}
	return f.wait(ctx, out, w, revision)
}

// errSettled ends the watch of an app: its deployment has come to an end.
var errSettled = errors.New("settled")

// wait watches the app until this revision of it is up, has failed or is taken down.
func (f *upFlags) wait(ctx context.Context, out io.Writer, w watch, revision uint64) error {
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.timeout,
			fmt.Errorf("%s is not up after %v; it goes on coming up (see: tombolo -p %[1]s ps)", w.app, f.timeout))
		defer cancel()
	}
	var last api.Status
	err := w.follow(ctx, func(s api.Status) error {
		w.noteTroubles(last, s)
		last = s
		if s.Revision >= revision && (s.Up || s.Failed != "" || s.Removing) {
			return errSettled
		}
		return nil
	})
	w.show.End(true)
	switch {
	case err == nil || errors.Is(err, errSettled) && last.Removing:
		return fmt.Errorf("%s was taken down by another command (to bring it up again: tombolo up)", w.app)
	case errors.Is(err, errSettled) && last.Up:
		info, _ := w.client.Info(ctx) // without an answer, hosts go by their names
		output.Up(out, last, info.Hosts)
		return nil
	case errors.Is(err, errSettled):
		output.Failures(out, last)
		return fmt.Errorf("%s cannot come up: %s\n(instances that are up stay up; correct the file and run up again, or stop the app: tombolo -p %[1]s down)", w.app, last.Failed)
	case errors.Is(context.Cause(ctx), context.Canceled):
		fmt.Fprintf(out, "\n%s goes on coming up: tombolo -p %[1]s ps shows its state, tombolo -p %[1]s down stops it\n", w.app)
		return exitError(130)
	case ctx.Err() != nil:
		output.Failures(out, last)
		return context.Cause(ctx)
	}
	return f.explain(err)
}

// noteTroubles tells of hosts that are not ready any more, because the app may wait for them.
func (w watch) noteTroubles(before, now api.Status) {
	for _, trouble := range now.Troubles {
		if !now.Up && !slices.Contains(before.Troubles, trouble) {
			w.show.Note("warning: " + trouble)
		}
	}
}

// How long a watch looks for a stream that broke off, and how often. A framework that was
// killed and restarted is back within that time.
const (
	streamAgain = 30 * time.Second
	streamPause = 500 * time.Millisecond
)

// watch shows how an app comes up or goes down.
type watch struct {
	client *api.Client
	app    string
	show   output.Progress
}

// follow shows each new status and calls fn with it, until fn returns an error, the app
// is gone or ctx ends. It outlives streams that break off, because a daemon may restart.
func (w watch) follow(ctx context.Context, fn func(api.Status) error) error {
	last, told := time.Now(), false
	for {
		var mine error
		err := w.client.Follow(ctx, w.app, func(s api.Status) error {
			last, told = time.Now(), false
			w.show.Status(s)
			mine = fn(s)
			return mine
		})
		switch {
		case err == nil, mine != nil, ctx.Err() != nil, errors.Is(err, api.ErrNotFound):
			return cmp.Or(ctx.Err(), err)
		case time.Since(last) > streamAgain:
			return err
		}
		if !told {
			told = true
			w.show.Note("the framework does not answer; trying again")
		}
		if !wake.Sleep(ctx, streamPause) {
			return ctx.Err()
		}
	}
}
