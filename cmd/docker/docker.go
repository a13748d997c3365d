// Package docker runs the docker command. It leaves to its callers what to ask.
package docker

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// grace is how long a docker command may take to end after an interrupt, and its
// output to end after it.
const grace = 2 * time.Second

// noAttestations keeps buildx from adding a provenance attestation to each image. With the
// containerd image store that attestation is part of the image's digest, and holds the time
// of the build: the same build would be another image each time. A file that asks for an
// attestation (build.provenance, build.sbom) gets it nevertheless.
const noAttestations = "BUILDX_NO_DEFAULT_ATTESTATIONS"

// Machine returns the address of this machine's Engine: $DOCKER_HOST or the default
// socket. It ignores docker contexts, because the daemon's containers run here.
func Machine() string {
	return cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock")
}

// Command prepares a docker command on the Engine at host. When ctx ends, the command
// is interrupted, as by Ctrl-C, and killed if it does not end within 2 s.
func Command(ctx context.Context, host string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", append([]string{"-H", host}, args...)...)
	cmd.Env = append(os.Environ(), "DOCKER_CLI_HINTS=false")
	if _, set := os.LookupEnv(noAttestations); !set {
		cmd.Env = append(cmd.Env, noAttestations+"=1")
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	return cmd
}

// Run runs a docker command on the Engine at host and returns its standard output.
// The error of a command that fails carries all that it printed; if ctx has ended, it
// is the error of ctx.
func Run(ctx context.Context, host string, args ...string) (string, error) {
	return RunWith(ctx, host, "", args...)
}

// RunWith is Run with a text on the command's standard input.
func RunWith(ctx context.Context, host, stdin string, args ...string) (string, error) {
	cmd := Command(ctx, host, args...)
	cmd.Stdin = strings.NewReader(stdin)
	return Output(ctx, cmd)
}

// Output is Run for a command that Command has prepared with the same ctx.
func Output(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		printed := strings.TrimRight(out.String()+complaints.String(), "\n")
		return "", cmp.Or(ctx.Err(), fmt.Errorf("docker %s: %w\n%s", cmd.Args[3], err, printed)) // behind docker -H HOST
	}
	return out.String(), nil
}
