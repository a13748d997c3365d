package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tombolo/cmd/privilege"
)

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("%s takes no arguments, but got %q (see: %s --help)", words(cmd), strings.Join(args, " "), cmd.CommandPath())}
}

// wholeApp refuses the names of services, which docker compose would take.
func wholeApp(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("%s acts on a whole app, not on %q alone: -f names the app's file, -p the app itself", words(cmd), strings.Join(args, " "))}
}

// takes requires at least n arguments or, if exact is set, n and no more. what describes
// them in the error.
func takes(n int, exact bool, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n || len(args) > n && !exact {
			return nil
		}
		return usageError{fmt.Errorf("%s takes %s (see: %s --help)", words(cmd), what, cmd.CommandPath())}
	}
}

// textOrJSON refuses a value of --format that is neither the name of the form for people nor json.
func textOrJSON(value, forPeople string) error {
	if value == forPeople || value == "json" {
		return nil
	}
	return usageError{fmt.Errorf("--format %q is neither %s nor json", value, forPeople)}
}

// needRoot returns a PreRunE that refuses to go on without root.
func needRoot(reason string) func(*cobra.Command, []string) error {
	return func(*cobra.Command, []string) error { return privilege.NeedRoot(reason) }
}

// group returns a command that only holds others. By itself it prints its help.
func group(use, short, long string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(subs...)
	return cmd
}

// unknownCommand refuses words that are not a command, and suggests one.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q (see: %s --help)", strings.TrimSpace(words(cmd)+" "+args[0]), cmd.CommandPath())
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		err = fmt.Errorf("unknown command %q; did you mean %q?", args[0], s[0])
	}
	return usageError{err}
}

// words returns the command's path without the name of the program, which starts every
// message anyway.
func words(cmd *cobra.Command) string {
	_, after, _ := strings.Cut(cmd.CommandPath(), " ")
	return after
}

func newLogger(cmd *cobra.Command, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
}

// fromEnvironment sets the flags that the command line left out from TOMBOLO_ variables:
// --run-dir from TOMBOLO_RUN_DIR.
func fromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "TOMBOLO_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, ok := lookup(name); ok && !f.Changed {
			if err := flags.Set(f.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	return errors.Join(errs...)
}
