// Package cli drives the tombolo binary from tests and from the demo, as a user
// would: by its command line, reading what it prints.
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
)

// pollEvery is how often Until looks again.
const pollEvery = 100 * time.Millisecond

// CLI is a tombolo binary. Echo, if set, gets every command line and its output.
type CLI struct {
	Binary string
	Env    []string // added to the environment
	Echo   io.Writer
}

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a command to its end. A command that ends with another code than 0 is
// no error of Run's: see Result.Code.
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

// Must runs a command that has to end with 0 and returns its standard output.
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

// Instances asks `tombolo ps` for the instances of an app.
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

// Until polls check until it returns nil; when ctx ends first, it returns check's
// last error.
func Until(ctx context.Context, check func() error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}
