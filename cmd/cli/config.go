package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tombolo/framework/app"
	"tombolo/framework/compose"
)

// projectFlags are the flags that say which Compose project is meant, with the
// words of `docker compose`. They stand before the command's name, as there, so
// that `logs -f` may mean something else: register them on the root command's own
// flags, with TraverseChildren set, not on its persistent flags.
type projectFlags struct {
	options compose.Options
}

func (p *projectFlags) register(flags *pflag.FlagSet) { p.registerAs(flags, "f") }

// registerAs is register for a command whose -f means something else: short is the
// letter for --file, or "".
func (p *projectFlags) registerAs(flags *pflag.FlagSet, short string) {
	o := &p.options
	flags.VarP(more{&o.Files}, "file", short, "Compose file, may be repeated; - is standard input")
	flags.StringVarP(&o.ProjectName, "project-name", "p", "", "project name, which is the app's")
	flags.Var(more{&o.Profiles}, "profile", "profile to activate, may be repeated")
	flags.Var(more{&o.EnvFiles}, "env-file", "file of variables instead of .env, may be repeated")
	flags.StringVar(&o.WorkingDir, "project-directory", "", "folder that relative paths start from (default: the first file's)")
}

// more is the value of a flag that is repeated, before the command's name and behind
// it: pflag's own lists begin anew behind it, and forget what stood before.
type more struct{ list *[]string }

// Set implements pflag.Value.
func (m more) Set(text string) error {
	*m.list = append(*m.list, text)
	return nil
}

// String implements pflag.Value.
func (m more) String() string {
	if m.list == nil {
		return ""
	}
	return strings.Join(*m.list, ",")
}

// Type implements pflag.Value.
func (m more) Type() string { return "stringArray" }

// loadTo reads the project and prints its warnings.
func (p *projectFlags) loadTo(ctx context.Context, stderr io.Writer) (*app.App, error) {
	o := p.options
	o.Env = os.Environ()
	a, warnings, err := compose.Load(ctx, o)
	for _, w := range warnings {
		fmt.Fprintf(stderr, "warning: %v\n", w)
	}
	var problems app.Problems
	if errors.As(err, &problems) && len(problems) > 1 {
		return nil, fmt.Errorf("%d problems:\n%w", len(problems), err)
	}
	return a, err
}

// configFlags say what `tombolo config` prints.
type configFlags struct {
	services, images, volumes, quiet bool
	format                           string
}

func newConfigCommand(project *projectFlags) *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the Compose file and print it in canonical form",
		Long: `Check the Compose file and print the app it describes as a Compose file in
canonical form: merged, interpolated, in long form and with full names. What is
printed can be given to tombolo again and means the same.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.format != "yaml" && f.format != "json" {
				return usageError{fmt.Errorf("--format %q is neither yaml nor json", f.format)}
			}
			a, err := project.loadTo(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), a)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.services, "services", false, "print the services' names, one a line")
	flags.BoolVar(&f.images, "images", false, "print the images' names, one a line")
	flags.BoolVar(&f.volumes, "volumes", false, "print the volumes' names, one a line")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing, only check")
	flags.StringVar(&f.format, "format", "yaml", "yaml or json")
	cmd.MarkFlagsMutuallyExclusive("services", "images", "volumes", "quiet")
	return cmd
}

func (f *configFlags) print(out io.Writer, a *app.App) error {
	switch {
	case f.quiet:
		return nil
	case f.services:
		return printLines(out, slices.Sorted(maps.Keys(a.Services)))
	case f.volumes:
		return printLines(out, slices.Sorted(maps.Keys(a.Volumes)))
	case f.images:
		var images []string
		for _, s := range a.Services {
			images = append(images, s.Image)
		}
		slices.Sort(images)
		return printLines(out, slices.Compact(images))
	}
	write := compose.Canonical
	if f.format == "json" {
		write = compose.CanonicalJSON
	}
	text, err := write(a)
	if err != nil {
		return fmt.Errorf("print the app: %w", err)
	}
	_, err = fmt.Fprintln(out, string(trimNewline(text)))
	return err
}

func trimNewline(text []byte) []byte {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		return text[:n-1]
	}
	return text
}

func printLines(out io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
