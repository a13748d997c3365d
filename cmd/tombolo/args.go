package main

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
	return usageError{fmt.Errorf("%s takes no arguments, and got %q (see: %[1]s --help)", cmd.CommandPath(), strings.Join(args, " "))}
}

// wholeApp refuses the services that docker compose would take.
func wholeApp(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("%s is for a whole app, not for %q: -f names its file, -p the app itself", cmd.CommandPath(), strings.Join(args, " "))}
}

// takes wants at least n arguments, or with exact no more, that are called what.
func takes(n int, exact bool, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n || len(args) > n && !exact {
			return nil
		}
		return usageError{fmt.Errorf("%s takes %s (see: %[1]s --help)", cmd.CommandPath(), what)}
	}
}
