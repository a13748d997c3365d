package cli

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
)

// needRoot refuses to go on without root, and says why it is needed.
func needRoot(why string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return fmt.Errorf("root is needed: %s (try with sudo)", why)
}

// newLogger logs to the command's standard error as text.
func newLogger(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}
