package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

const (
	// removeWait bounds docker rm.
	removeWait = 10 * time.Second
	// noCommand is the exit status of a shell that finds no docker command.
	noCommand = 127
)

// activity is a docker command that a runner has under way, or that has ended.
type activity struct {
	kind   kind
	cancel context.CancelFunc // while it is under way
	exit   int
	err    error  // why there is no exit status
	stderr string // of a pull
}

type kind int

const (
	nothing kind = iota
	pull         // docker pull, unless the image is there
	run          // docker run
	follow       // docker logs -f, in place of a docker run that has ended
)

// activities runs one activity at a time beside its owner.
type activities struct {
	current  *activity // under way; nil: none
	last     activity  // the latest that ended; the zero value: none that says anything about the container
	finished chan activity
	wg       sync.WaitGroup
}

// underWay returns the kind of the current activity.
func (as *activities) underWay() kind {
	if as.current == nil {
		return nothing
	}
	return as.current.kind
}

// begin starts an activity. It sends its result to finished.
func (as *activities) begin(ctx context.Context, k kind, do func(context.Context) activity) {
	ctx, cancel := context.WithCancel(ctx)
	as.current = &activity{kind: k, cancel: cancel}
	as.wg.Go(func() {
		defer cancel()
		a := do(ctx)
		a.kind = k
		as.finished <- a
	})
}

// neverPulled reports whether the task's image must be on the host already. Mesos itself does not
// know this parameter before docker run, and pulls.
func neverPulled(d *mesos.ContainerInfo_DockerInfo) bool {
	return slices.ContainsFunc(d.GetParameters(), func(p mesos.Parameter) bool { return p.Key == "pull" && p.Value == "never" })
}

// pullImage pulls the image, unless it is there and the task does not force the pull, or the
// task forbids the pull.
func (r *runner) pullImage(ctx context.Context) activity {
	d := r.Task.Info.GetContainer().GetDocker()
	if !d.GetForcePullImage() {
		if a := r.dockerCommand(ctx, "inspect", d.GetImage()); a.err == nil && a.exit == 0 {
			return a
		}
	}
	a := activity{exit: 1}
	if !neverPulled(d) {
		a = r.dockerCommand(ctx, "pull", d.GetImage())
	}
	if a.err == nil && a.exit != 0 {
		// If the Engine is gone, that is why the pull failed: it is tried again.
		_, a.err = r.Docker.Machine(ctx)
	}
	return a
}

// pullError returns why the last activity, a pull, failed.
func (r *runner) pullError() error {
	if r.last.err != nil {
		return r.last.err
	}
	d := r.Task.Info.GetContainer().GetDocker()
	if neverPulled(d) && r.last.exit != noCommand {
		return fmt.Errorf("image %s is not on this host", d.GetImage())
	}
	args := append(hostArgs(r.Host), "pull", d.GetImage())
	return fmt.Errorf("Failed to run 'docker %s': exited with status %d; stderr='%s'",
		strings.Join(args, " "), r.last.exit, r.last.stderr)
}

// followOutput writes all of the container's output anew, and goes on as it grows.
func (r *runner) followOutput(ctx context.Context) activity {
	r.sandbox.rewind()
	exit, err := r.Docker.Run(ctx, Command{
		Args:   append(hostArgs(r.Host), "logs", "-f", r.Task.containerName()),
		Stdout: r.sandbox.stdout, Stderr: r.sandbox.stderr,
	})
	return activity{exit: exit, err: err}
}

// dockerCommand runs a short docker command and keeps its stderr.
func (r *runner) dockerCommand(ctx context.Context, args ...string) activity {
	stderr := limitedBuffer{left: stderrLimit}
	exit, err := r.Docker.Run(ctx, Command{
		Args: append(hostArgs(r.Host), args...), Stdout: io.Discard, Stderr: &stderr,
	})
	if err != nil && ctx.Err() == nil {
		return activity{exit: noCommand, stderr: err.Error()}
	}
	return activity{exit: exit, err: err, stderr: stderr.kept.String()}
}

// removeContainer removes a container if it exists, even when ctx has ended. It returns
// an error only if docker does not run.
func removeContainer(ctx context.Context, docker CommandLine, host, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeWait)
	defer cancel()
	_, err := docker.Run(ctx, Command{Args: append(hostArgs(host), "rm", "-f", "-v", name)})
	return err
}

// limitedBuffer keeps the first bytes that are written to it and drops the rest.
type limitedBuffer struct {
	kept bytes.Buffer // not embedded: its ReadFrom would have no limit
	left int
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.kept.Write(p[:n])
	return len(p), nil
}
