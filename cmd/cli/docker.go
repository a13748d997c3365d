package cli

import (
	"context"
	"os"
	"os/exec"
	"time"
)

// dockerGrace is how long a docker command may take to end after an interrupt, and
// its output to end after it.
const dockerGrace = 2 * time.Second

// dockerCommand prepares a docker command on an Engine. When ctx ends it is
// interrupted, as by Ctrl-C, and killed where that does not help.
func dockerCommand(ctx context.Context, host string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", append([]string{"-H", host}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = dockerGrace
	return cmd
}

// machineCommand is dockerCommand on this machine's Engine, whatever docker context
// the user has: the daemon's containers run there.
func machineCommand(ctx context.Context, args ...string) *exec.Cmd {
	return dockerCommand(ctx, machineDocker(), args...)
}
