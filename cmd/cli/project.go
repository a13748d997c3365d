package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tombolo/framework/app"
	"tombolo/framework/compose"
)

// projectFlags are the flags that choose a Compose project, with the names that `docker
// compose` gives them. They belong to the root command's own flags, not its persistent
// ones, so that they stand before a command's name and `logs -f` can mean something else.
type projectFlags struct {
	options compose.Options
}

// register registers the flags. short is the letter for --file, or "" for a command whose
// -f means something else.
func (p *projectFlags) register(flags *pflag.FlagSet, short string) {
	o := &p.options
	flags.FuncP("file", short, "Compose `file`; - is standard input; may be repeated", appendTo(&o.Files))
	flags.StringVarP(&o.ProjectName, "project-name", "p", "", "`name` of the project, which is the name of the app")
	flags.Func("profile", "activate this `profile`; may be repeated", appendTo(&o.Profiles))
	flags.Func("env-file", "`file` of variables to read instead of .env; may be repeated", appendTo(&o.EnvFiles))
	flags.StringVar(&o.WorkingDir, "project-directory", "", "`folder` that relative paths start from (default: the folder of the first Compose file)")
}

// appendTo makes a flag that may stand before and behind the command's name: pflag's own
// lists would forget the values before the name.
func appendTo(list *[]string) func(string) error {
	return func(value string) error {
		*list = append(*list, value)
		return nil
	}
}

// accept lets commands take the project flags behind their names too: `tombolo up -f
// FILE` means `tombolo -f FILE up`.
func (p *projectFlags) accept(cmds ...*cobra.Command) []*cobra.Command {
	for _, cmd := range cmds {
		p.register(cmd.Flags(), "f")
		completeProject(cmd)
	}
	return cmds
}

// name returns the name of the project. It reads the Compose file only if neither a flag
// nor the environment names the project.
func (p *projectFlags) name(ctx context.Context) (string, error) {
	if name := cmp.Or(p.options.ProjectName, os.Getenv("COMPOSE_PROJECT_NAME")); name != "" {
		return name, nil
	}
	a, err := p.load(ctx, io.Discard)
	if err != nil {
		return "", fmt.Errorf("%w\n(-p names an app without its file; every app: tombolo ps -a)", err)
	}
	return a.Name, nil
}

// load reads the project and prints its warnings.
func (p *projectFlags) load(ctx context.Context, warnings io.Writer) (*app.App, error) {
	o := p.options
	o.Env = os.Environ()
	a, ws, err := compose.Load(ctx, o)
	for _, w := range ws {
		fmt.Fprintf(warnings, "warning: %v\n", w)
	}
	var problems app.Problems
	if errors.As(err, &problems) && len(problems) > 1 {
		return nil, fmt.Errorf("%d problems:\n%w", len(problems), err)
	}
	return a, err
}
