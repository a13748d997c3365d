// Package cli runs the tombolo binary for tests and for the demo, as a user does: it passes a
// command line and reads the output.
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"tombolo/framework/api"
	"tombolo/internal/wake"
)

// pollEvery is the time between two checks of Until.
const pollEvery = 100 * time.Millisecond

// CLI runs a tombolo binary.
type CLI struct {
	Binary string
	Env    []string  // added to the environment
	Echo   io.Writer // gets a copy of all output; nil means none
}

// Result is the output and the exit code of a command.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a command to its end. If its exit code is not 0, that is no error: see Result.Code.
func (c CLI) Run(ctx context.Context, args ...string) (Result, error) {
	cmd := exec.CommandContext(ctx, c.Binary, args...)
	cmd.Env = append(cmd.Environ(), c.Env...)
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = c.tee(&stdout), c.tee(&stderr)
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = ctx.Err()
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}, err
}

func (c CLI) tee(b *bytes.Buffer) io.Writer {
	if c.Echo == nil {
		return b
	}
	return io.MultiWriter(b, c.Echo)
}

// Must runs a command and returns its standard output. An exit code other than 0 is an error.
func (c CLI) Must(ctx context.Context, args ...string) (string, error) {
	r, err := c.Run(ctx, args...)
	if err != nil {
		return r.Stdout, fmt.Errorf("tombolo %v: %w", args, err)
	}
	if r.Code != 0 {
		return r.Stdout, fmt.Errorf("tombolo %v: exit code %d: %s%s", args, r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout, nil
}

// Instances returns the instances of an app from `tombolo ps`.
func (c CLI) Instances(ctx context.Context, app string) ([]api.Instance, error) {
	quiet := CLI{Binary: c.Binary, Env: c.Env}
	out, err := quiet.Must(ctx, "ps", "-p", app, "--format", "json")
	if err != nil {
		return nil, err
	}
	var list []api.Instance
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("parse ps output %q: %w", out, err)
	}
	return list, nil
}

// Until polls check until it returns nil. If ctx ends before that, it returns the last error of
// check.
func Until(ctx context.Context, check func() error) error {
	for {
		err := check()
		if err == nil {
			return nil
		}
		if !wake.Sleep(ctx, pollEvery) {
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		}
	}
}

// Docker returns a docker command for the Engine at dockerHost, see DOCKER_HOST of docker(1).
func Docker(ctx context.Context, dockerHost string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(cmd.Environ(), "DOCKER_HOST="+dockerHost)
	return cmd
}
