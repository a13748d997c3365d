package cli

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tombolo/cmd/output"
	"tombolo/framework/app"
	"tombolo/framework/compose"
)

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
canonical form: merged, interpolated, in long form and with full names. Tombolo reads
the printed file as the same app. Nothing needs to run for this command. The standard
error says what is not kept when a container ends and starts again.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := textOrJSON(f.format, "yaml"); err != nil {
				return err
			}
			a, err := project.load(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			f.notes(cmd.ErrOrStderr(), a)
			return f.print(cmd.OutOrStdout(), a)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.services, "services", false, "print the names of the services, one a line")
	flags.BoolVar(&f.images, "images", false, "print the names of the images, one a line")
	flags.BoolVar(&f.volumes, "volumes", false, "print the names of the volumes, one a line")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "only check, print nothing")
	flags.StringVar(&f.format, "format", "yaml", "output `format`: yaml or json")
	cmd.MarkFlagsMutuallyExclusive("services", "images", "volumes", "quiet")
	return cmd
}

// notes says what the app loses that docker compose would keep. It is no fault of the file.
func (f *configFlags) notes(out io.Writer, a *app.App) {
	if f.quiet || f.services || f.volumes || f.images {
		return
	}
	var losing []string
	for name, s := range a.Services {
		if !slices.Contains(s.Docker, app.Flag{Name: "read-only", Value: "true"}) {
			losing = append(losing, name)
		}
	}
	if len(losing) > 0 {
		slices.Sort(losing)
		fmt.Fprintf(out, "not kept: each restart is a new container, without what the last one wrote outside of its volumes: %s\n", strings.Join(losing, ", "))
	}
}

func (f *configFlags) print(out io.Writer, a *app.App) error {
	switch {
	case f.quiet:
		return nil
	case f.services:
		return output.Lines(out, slices.Sorted(maps.Keys(a.Services)))
	case f.volumes:
		return output.Lines(out, slices.Sorted(maps.Keys(a.Volumes)))
	case f.images:
		var images []string
		for _, s := range a.Services {
			images = append(images, s.Image)
		}
		slices.Sort(images)
		return output.Lines(out, slices.Compact(images))
	}
	write := compose.Canonical
	if f.format == "json" {
		write = compose.CanonicalJSON
	}
	text, err := write(a)
	if err != nil {
		return fmt.Errorf("print the app: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s\n", bytes.TrimSuffix(text, []byte("\n")))
	return err
}
