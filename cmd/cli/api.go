package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/spf13/pflag"

	"tombolo/cmd/daemon"
	"tombolo/cmd/privilege"
	"tombolo/cmd/rundir"
	"tombolo/framework/api"
	"tombolo/framework/app"
)

var defaultAPI = rundir.Default.API()

type apiFlags struct{ target string }

func (f *apiFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.target, "api", apiTarget(), "`socket` or URL of the framework's API (environment: TOMBOLO_API)")
}

// apiTarget is the API that commands ask without --api.
func apiTarget() string { return cmp.Or(os.Getenv("TOMBOLO_API"), defaultAPI) }

func (f *apiFlags) client() *api.Client { return api.NewClient(f.target) }

// startable reports whether err says that no framework runs on this machine, so that a
// daemon could be started to answer.
func (f *apiFlags) startable(err error) bool { return absent(err) && f.target == defaultAPI }

// absent reports whether err says that no process listens on a socket.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// explain turns an error of the API's client into one that says what to do.
func (f *apiFlags) explain(err error) error {
	if !absent(err) {
		return privilege.Explain(err, f.target)
	}
	remedy := " (tombolo up starts one)"
	if f.target != defaultAPI {
		remedy = ": does --api or TOMBOLO_API name the right address?"
	} else if err := daemon.PartOfCluster(rundir.Default, daemon.DefaultStateDir); err != nil && !errors.Is(err, fs.ErrPermission) {
		remedy = ": " + err.Error()
	}
	return fmt.Errorf("no framework answers at %s%s", f.target, remedy)
}

// spec asks for the project's app as it was submitted.
func (f *apiFlags) spec(ctx context.Context, client *api.Client, project *projectFlags) (app.App, error) {
	name, err := project.name(ctx)
	if err != nil {
		return app.App{}, err
	}
	a, err := client.Spec(ctx, name)
	if errors.Is(err, api.ErrNotFound) {
		return app.App{}, notUp(name)
	}
	return a, f.explain(err)
}

func notUp(name string) error { return fmt.Errorf("%s is not up (every app: tombolo ps -a)", name) }

func noSuchService(app, service string) error {
	return fmt.Errorf("%s has no service %q", app, service)
}

// onThisMachine reports whether the cluster is this machine, with its Docker Engine.
func (f *apiFlags) onThisMachine() bool {
	holder, err := rundir.At(f.target).Holder()
	return err == nil && holder.Kind == rundir.Machine
}
