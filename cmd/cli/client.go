package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"tombolo/framework/api"
)

const (
	defaultAPI = "/run/tombolo/api.sock"

	// followAgain is how long a stream that broke off is looked for: a framework
	// that was killed and restarted is back by then.
	followAgain = 30 * time.Second
)

// apiFlags say where the framework's API is.
type apiFlags struct{ target string }

func (f *apiFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.target, "api", cmp.Or(os.Getenv("TOMBOLO_API"), defaultAPI), "the framework's API: a socket or a URL (TOMBOLO_API)")
}

func (f *apiFlags) client() *api.Client { return api.NewClient(f.target) }

// absent says that nobody listens where the API should be.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// forbidden makes an error of a socket that root alone may use say so.
func forbidden(err error, socket string) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("root is needed: %s is root's (try with sudo)", socket)
	}
	return err
}

// explain makes an error of the API's client one that says what to do.
func (f *apiFlags) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return forbidden(err, f.target)
	case absent(err):
		return fmt.Errorf("no framework answers at %s%s", f.target, f.remedy())
	}
	return err
}

// remedy says what to do where nobody answers.
func (f *apiFlags) remedy() string {
	if f.target != defaultAPI {
		return ": is it what --api or TOMBOLO_API should name?"
	}
	if err := partOfCluster(defaultRunDir, defaultStateDir); err != nil && !errors.Is(err, fs.ErrPermission) {
		return ": " + err.Error()
	}
	return " (tombolo up starts one)"
}

func notUp(name string) error { return fmt.Errorf("%s is not up (every app: tombolo ps -a)", name) }

func noSuchService(app, service string) error {
	return fmt.Errorf("%s has no service %q", app, service)
}

// nameless explains an error of projectFlags.name.
func nameless(err error) error {
	return fmt.Errorf("%w\n(-p names an app without its file; every app: tombolo ps -a)", err)
}

// name is the project's, without reading its file where a flag or the environment
// names it.
func (p *projectFlags) name(ctx context.Context) (string, error) {
	if name := cmp.Or(p.options.ProjectName, os.Getenv("COMPOSE_PROJECT_NAME")); name != "" {
		return name, nil
	}
	a, err := p.loadTo(ctx, io.Discard)
	if err != nil {
		return "", err
	}
	return a.Name, nil
}

// follow is Client.Follow over streams that break off: a daemon may be restarted.
// again is called once when one has.
func follow(ctx context.Context, c *api.Client, name string, again func(error), fn func(api.Status) error) error {
	last, told := time.Now(), false
	for {
		var mine error
		err := c.Follow(ctx, name, func(s api.Status) error {
			last, told = time.Now(), false
			mine = fn(s)
			return mine
		})
		switch {
		case err == nil, mine != nil, ctx.Err() != nil, errors.Is(err, api.ErrNotFound):
			return cmp.Or(ctx.Err(), err)
		case time.Since(last) > followAgain:
			return err
		}
		if !told {
			told = true
			again(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}
