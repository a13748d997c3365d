package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("%s takes no arguments, and got %q (see: %s --help)", words(cmd), strings.Join(args, " "), cmd.CommandPath())}
}

// wholeApp refuses the services that docker compose would take.
func wholeApp(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("%s is for a whole app, not for %q: -f names its file, -p the app itself", words(cmd), strings.Join(args, " "))}
}

// takes wants at least n arguments, or with exact no more, that are called what.
func takes(n int, exact bool, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n || len(args) > n && !exact {
			return nil
		}
		return usageError{fmt.Errorf("%s takes %s (see: %s --help)", words(cmd), what, cmd.CommandPath())}
	}
}

// words are the command's without the program's name, which stands before every
// message anyway.
func words(cmd *cobra.Command) string {
	_, after, _ := strings.Cut(cmd.CommandPath(), " ")
	return after
}
