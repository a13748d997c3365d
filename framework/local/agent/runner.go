package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/internal/wake"
)

const (
	lookSoon     = time.Second      // while something is under way
	lookSometime = 30 * time.Second // events tell; this is for one that was lost
	lookWait     = 10 * time.Second // Inspect blocks while a container starts
	drainWait    = 5 * time.Second  // for the output of a container that has ended
	stopRetry    = 250 * time.Millisecond
	errorLimit   = 4 << 10 // of docker's stderr in a message
)

// runner sees one task through, as a Docker executor does: pull, docker run,
// kill, exit status. It asks the Engine what is true after each event and acts on
// that alone (see step), so that it does not matter when it was started, by which
// agent, or what it missed.
type runner struct {
	runnerConfig
	box      *sandbox
	nudges   chan struct{} // one slot: "look again"
	kills    *wake.Queue[time.Duration]
	finished chan activity // from the one activity's goroutine

	// Owned by Run.
	seen    progress
	current *activity // what is under way
	last    activity  // what ended last
	grace   time.Duration
	endedAt time.Time // when the container was first seen ended
	follows int       // attempts to follow the output
	pause   time.Time // no new attempt before this
	wg      sync.WaitGroup
}

type runnerConfig struct {
	Docker  Docker
	Host    string    // the Engine, for docker's -H
	Task    savedTask // as it was when the runner was made
	Sandbox string
	Log     *slog.Logger
	Report  func(mesos.TaskStatus) // does not block
}

// activity is a docker command that runs for a while.
type activity struct {
	kind   kind
	cancel context.CancelFunc
	exit   int
	err    error
	stderr string // of a pull
}

type kind int

const (
	nothing kind = iota
	pull         // inspect the image, docker pull
	run          // docker run
	follow       // docker logs -f: the output, when docker run is no longer there
)

func newRunner(c runnerConfig) *runner {
	state := c.Task.State
	return &runner{
		runnerConfig: c,
		nudges:       make(chan struct{}, 1),
		kills:        wake.NewQueue[time.Duration](),
		finished:     make(chan activity, 1), // one activity at a time: sending never blocks
		seen: progress{
			starting: state != mesos.TASK_STAGING,
			running:  state == mesos.TASK_RUNNING || state == mesos.TASK_KILLING,
			killed:   c.Task.Killed,
		},
	}
}

// nudge has the runner look at its container.
func (r *runner) nudge() {
	select {
	case r.nudges <- struct{}{}:
	default:
	}
}

// kill ends the task: SIGTERM (or the container's stop signal), SIGKILL after grace.
func (r *runner) kill(grace time.Duration) { r.kills.Put(grace) }

// Run returns after the terminal update was reported, or when ctx ends; the
// container then lives on.
func (r *runner) Run(ctx context.Context) {
	box, err := openSandbox(r.Sandbox)
	if err != nil {
		r.Report(launchFailed(err))
		return
	}
	r.box = box
	ctx, cancel := context.WithCancel(ctx)
	for !r.step(ctx) {
		r.wait(ctx)
	}
	cancel()
	r.wg.Wait()
	if err := box.Close(); err != nil {
		r.Log.Warn("output files", "err", err)
	}
}

// wait returns when there is a reason to look again.
func (r *runner) wait(ctx context.Context) {
	pause := lookSometime
	if !r.seen.running || !r.endedAt.IsZero() || r.current == nil {
		pause = lookSoon
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-r.nudges:
	case a := <-r.finished:
		r.current, r.last = nil, a
	case <-r.kills.Ready():
		for _, grace := range r.kills.Take() {
			r.stop(ctx, grace)
		}
	}
}

// step looks at the container and does the one next thing. It returns true when
// the task has ended or ctx has.
func (r *runner) step(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	c, err := r.look(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return true
		}
		r.Log.Debug("cannot look at the container", "err", err)
		if r.current == nil {
			// Its exit status told of the Engine, not of the container.
			r.last = activity{}
		}
		return false
	}
	switch next := decide(c, r.seen, r.under(), r.last); next.do {
	case doWait:
	case doRunning:
		r.seen.running = true
		r.Report(runningStatus(r.Task.Task, c))
		return r.step(ctx)
	case doFollow:
		r.follow(ctx)
	case doDrain:
		r.drain(ctx)
	case doLaunch:
		r.launch(ctx, c)
	case doRun:
		return r.startContainer(ctx)
	case doEnd:
		if r.seen.killed && c.Name != "" {
			// Whoever waits for the end of what they killed finds nothing left of it.
			if err := removeContainer(ctx, r.Docker, r.Host, c.Name); err != nil {
				r.Log.Warn("container stays for now", "err", err)
			}
		}
		r.end(c, next)
		return true
	}
	return false
}

func (r *runner) look(ctx context.Context) (Container, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	c, err := r.Docker.Inspect(ctx, r.Task.containerName())
	if errors.Is(err, ErrNoContainer) {
		return Container{}, nil
	}
	return c, err
}

func (r *runner) under() kind {
	if r.current == nil {
		return nothing
	}
	return r.current.kind
}

// begin runs do beside the runner; its end comes through finished.
func (r *runner) begin(ctx context.Context, k kind, do func(context.Context) activity) {
	ctx, cancel := context.WithCancel(ctx)
	r.current = &activity{kind: k, cancel: cancel}
	r.wg.Go(func() {
		defer cancel()
		a := do(ctx)
		a.kind = k
		r.finished <- a
	})
}

// launch makes the image be there. A container that an earlier docker run created
// and could not start is in the way of a new one.
func (r *runner) launch(ctx context.Context, c Container) {
	if c.Name != "" {
		if err := removeContainer(ctx, r.Docker, r.Host, c.Name); err != nil {
			r.Log.Warn("container is in the way", "err", err)
		}
	}
	r.begin(ctx, pull, r.pullImage)
}

func (r *runner) pullImage(ctx context.Context) activity {
	d := r.Task.Task.GetContainer().GetDocker()
	if !d.GetForcePullImage() {
		if a := r.docker(ctx, io.Discard, "inspect", d.GetImage()); a.err == nil && a.exit == 0 {
			return a
		}
	}
	a := r.docker(ctx, io.Discard, "pull", d.GetImage())
	if a.err == nil && a.exit != 0 {
		// An Engine that went away is no fault of the image's.
		_, a.err = r.Docker.Machine(ctx)
	}
	return a
}

// docker runs a short command.
func (r *runner) docker(ctx context.Context, stdout io.Writer, args ...string) activity {
	var stderr bytes.Buffer
	exit, err := r.Docker.Run(ctx, Command{
		Args: append(hostArgs(r.Host), args...), Stdout: stdout, Stderr: &limitedBuffer{buffer: &stderr, left: errorLimit},
	})
	if err != nil && ctx.Err() == nil {
		// There is no docker command: as a shell says it.
		return activity{exit: 127, stderr: err.Error()}
	}
	return activity{exit: exit, err: err, stderr: stderr.String()}
}

// startContainer is docker run, after the STARTING update.
func (r *runner) startContainer(ctx context.Context) bool {
	r.last = activity{}
	if !r.seen.starting {
		r.seen.starting = true
		r.Report(mesos.TaskStatus{State: mesos.TASK_STARTING.Enum()})
	}
	args, err := r.arguments(ctx)
	if err != nil {
		r.Report(mesos.TaskStatus{
			State: mesos.TASK_FAILED.Enum(), Message: new("Failed to create docker run options: " + err.Error()),
		})
		return true
	}
	r.begin(ctx, run, func(ctx context.Context) activity {
		exit, err := r.Docker.Run(ctx, Command{Args: args, Stdout: r.box.stdout, Stderr: r.box.stderr})
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(r.box.stderr, err)
			return activity{exit: 127}
		}
		return activity{exit: exit, err: err}
	})
	return false
}

func (r *runner) arguments(ctx context.Context) ([]string, error) {
	d := dockerRun{Host: r.Host, Task: r.Task.Task, ContainerID: r.Task.ContainerID, Sandbox: r.Sandbox}
	if len(r.Task.Task.Limits) > 0 {
		machine, err := r.Docker.Machine(ctx)
		if err != nil {
			r.Log.Warn("memory of the host is unknown", "err", err)
		}
		d.MemTotal = machine.MemBytes
	}
	return dockerArgs(d)
}

// follow keeps the output of a running container coming. What ended before, docker
// run or an earlier attempt, says nothing about the container.
func (r *runner) follow(ctx context.Context) {
	r.last, r.endedAt = activity{}, time.Time{}
	if time.Now().Before(r.pause) {
		return
	}
	r.pause = time.Now().Add(lookSoon << min(r.follows, 6)) // some log drivers cannot be read
	r.follows++
	r.begin(ctx, follow, r.followOutput)
}

// followOutput writes the container's output anew and keeps at it.
func (r *runner) followOutput(ctx context.Context) activity {
	r.box.rewind()
	exit, err := r.Docker.Run(ctx, Command{
		Args:   append(hostArgs(r.Host), "logs", "-f", r.Task.containerName()),
		Stdout: r.box.stdout, Stderr: r.box.stderr,
	})
	return activity{exit: exit, err: err}
}

// drain waits for the output of a container that has ended, but not for ever.
func (r *runner) drain(ctx context.Context) {
	if r.endedAt.IsZero() {
		r.endedAt = time.Now()
	}
	switch {
	case r.current == nil:
		r.begin(ctx, follow, r.followOutput)
	case time.Since(r.endedAt) > drainWait:
		r.current.cancel()
	}
}

// stop is docker stop, until the task has ended: the container may not be there
// yet, and stopping one that was only created does nothing, with success.
func (r *runner) stop(ctx context.Context, grace time.Duration) {
	again := r.seen.killed && r.grace > 0 && grace >= r.grace
	r.seen.killed = true
	if again {
		return
	}
	r.grace = grace
	if r.under() == pull {
		r.current.cancel()
		return
	}
	seconds := strconv.Itoa(int((grace + time.Second - 1) / time.Second))
	r.wg.Go(func() {
		for ctx.Err() == nil {
			pause := stopRetry
			if a := r.docker(ctx, io.Discard, "stop", "-t", seconds, r.Task.containerName()); a.exit == 0 {
				pause = lookSoon
			}
			wake.Sleep(ctx, pause)
		}
	})
}

func (r *runner) end(c Container, next decision) {
	switch {
	case next.never:
		r.Report(mesos.TaskStatus{State: mesos.TASK_KILLED.Enum(), Message: new("Killed before its container started")})
	case next.gone:
		r.Report(mesos.TaskStatus{State: mesos.TASK_FAILED.Enum(), Message: new("Container was removed")})
	case r.last.kind == pull && r.last.err != nil:
		r.Report(launchFailed(r.last.err))
	case r.last.kind == pull:
		image := r.Task.Task.GetContainer().GetDocker().GetImage()
		command := strings.Join(append(append([]string{"docker"}, hostArgs(r.Host)...), "pull", image), " ")
		r.Report(launchFailed(fmt.Errorf("Failed to run '%s': exited with status %d; stderr='%s'", //nolint:staticcheck // Mesos' words
			command, r.last.exit, r.last.stderr)))
	case c.ended():
		r.Report(exitStatus(c.ExitCode, ""))
	default:
		why := ""
		if !r.seen.running {
			why = complaint(tail(filepath.Join(r.Sandbox, "stderr"), errorLimit))
		}
		r.Report(exitStatus(r.last.exit, why))
	}
}

// limitedBuffer keeps the first bytes and swallows the rest.
type limitedBuffer struct {
	buffer *bytes.Buffer
	left   int
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.buffer.Write(p[:n])
	return len(p), nil
}
