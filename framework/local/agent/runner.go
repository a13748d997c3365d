package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/internal/wake"
)

const (
	pollBusy    = time.Second      // between two looks at a container that starts or ends
	pollIdle    = 30 * time.Second // between two looks at one that runs: events may get lost
	inspectWait = 10 * time.Second // Inspect blocks while a container starts
	outputWait  = 5 * time.Second  // for the rest of the output of a container that has ended
	stopRetry   = 250 * time.Millisecond
	stderrLimit = 4 << 10 // how many bytes of docker's stderr a message has
)

// runner runs one task from pull to exit status, as a Docker executor does. After each
// event it asks the Engine for the state of the container and acts on that alone. So it
// does not matter which agent started the container, or which events the runner missed.
type runner struct {
	runnerConfig
	sandbox   *sandbox
	lookAgain wake.Signal
	kills     *wake.Queue[time.Duration] // grace periods

	// Owned by Run.
	activities
	reported     progress
	grace        time.Duration // the shortest of the kills; zero: no kill yet, or one without grace
	endedAt      time.Time     // when the container was first seen ended; zero: it was not
	follows      int           // attempts to follow the output
	followPaused time.Time     // no new attempt before this
}

type runnerConfig struct {
	Docker  Docker
	Host    string    // for docker's -H
	Task    savedTask // as it was when the runner was made
	Sandbox string    // the task's folder
	Log     *slog.Logger
	Report  func(mesos.TaskStatus) // must not block
}

func newRunner(c runnerConfig) *runner {
	state := c.Task.State
	return &runner{
		runnerConfig: c,
		lookAgain:    wake.NewSignal(),
		kills:        wake.NewQueue[time.Duration](),
		activities:   activities{finished: make(chan activity, 1)}, // one slot: one runs at a time, so sending never blocks
		reported: progress{
			starting: state != mesos.TASK_STAGING,
			running:  state == mesos.TASK_RUNNING || state == mesos.TASK_KILLING,
			killed:   c.Task.Killed,
		},
	}
}

// kill stops the container with its stop signal (SIGTERM by default), and after grace
// with SIGKILL.
func (r *runner) kill(grace time.Duration) { r.kills.Put(grace) }

// Run returns when the terminal update was reported, or when ctx ends. In the second
// case the container runs on.
func (r *runner) Run(ctx context.Context) {
	box, err := openSandbox(r.Sandbox)
	if err != nil {
		r.Report(launchFailed(err))
		return
	}
	r.sandbox = box
	ctx, cancel := context.WithCancel(ctx)
	for !r.step(ctx) {
		r.wait(ctx)
	}
	cancel()
	r.wg.Wait()
	if err := box.Close(); err != nil {
		r.Log.Warn("closing the output files failed", "err", err)
	}
}

// wait returns when there is a reason to look at the container again.
func (r *runner) wait(ctx context.Context) {
	pause := pollIdle
	if !r.reported.running || !r.endedAt.IsZero() || r.current == nil {
		pause = pollBusy
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-r.lookAgain:
	case a := <-r.finished:
		r.current, r.last = nil, a
	case <-r.kills.Ready():
		for _, grace := range r.kills.Take() {
			r.stop(ctx, grace)
		}
	}
}

// step looks at the container and does the one next thing. It returns true when the
// task or ctx has ended.
func (r *runner) step(ctx context.Context) (ended bool) {
	if ctx.Err() != nil {
		return true
	}
	c, err := r.inspect(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return true
		}
		r.Log.Debug("cannot inspect the container", "err", err)
		if r.current == nil {
			// It ended because the Engine went away, so its exit status says nothing
			// about the container.
			r.last = activity{}
		}
		return false
	}
	switch next := decide(c, r.reported, r.underWay(), r.last); next.do {
	case doWait:
	case doReportRunning:
		r.reported.running = true
		r.Report(runningStatus(r.Task.Info, c))
		return r.step(ctx)
	case doFollow:
		r.follow(ctx)
	case doReadRest:
		r.readRest(ctx)
	case doPull:
		r.pull(ctx, c)
	case doRun:
		return r.startContainer(ctx)
	case doEnd:
		if r.reported.killed && c.Name != "" {
			// Before the report, so that a killed task has no container any more
			// when its framework learns of its end.
			if err := removeContainer(ctx, r.Docker, r.Host, c.Name); err != nil {
				r.Log.Warn("the container is left behind for now", "err", err)
			}
		}
		r.Report(r.terminalStatus(c, next))
		return true
	}
	return false
}

// inspect returns the zero Container if it does not exist.
func (r *runner) inspect(ctx context.Context) (Container, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectWait)
	defer cancel()
	c, err := r.Docker.Inspect(ctx, r.Task.containerName())
	if errors.Is(err, ErrNoContainer) {
		return Container{}, nil
	}
	return c, err
}

// pull makes the image available. It first removes a container that an earlier docker
// run created and could not start, because that has the name of the new one.
func (r *runner) pull(ctx context.Context, c Container) {
	if c.Name != "" {
		if err := removeContainer(ctx, r.Docker, r.Host, c.Name); err != nil {
			r.Log.Warn("a container that did not start is in the way", "err", err)
		}
	}
	r.begin(ctx, pull, r.pullImage)
}

// startContainer reports TASK_STARTING and begins docker run. It returns true when the
// task has ended, because docker has no options for it.
func (r *runner) startContainer(ctx context.Context) (ended bool) {
	r.last = activity{}
	if !r.reported.starting {
		r.reported.starting = true
		r.Report(mesos.TaskStatus{State: mesos.TASK_STARTING.Enum()})
	}
	command, err := r.runCommand(ctx)
	if err != nil {
		r.Report(mesos.TaskStatus{
			State: mesos.TASK_FAILED.Enum(), Message: new("Failed to create docker run options: " + err.Error()),
		})
		return true
	}
	r.begin(ctx, run, func(ctx context.Context) activity {
		exit, err := r.Docker.Run(ctx, command)
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(r.sandbox.stderr, err)
			return activity{exit: noCommand}
		}
		return activity{exit: exit, err: err}
	})
	return false
}

func (r *runner) runCommand(ctx context.Context) (Command, error) {
	task, err := r.nameVolumes(ctx)
	if err != nil {
		return Command{}, err
	}
	d := dockerRun{Host: r.Host, Task: task, ContainerID: r.Task.ContainerID, Sandbox: r.Sandbox}
	if len(r.Task.Info.Limits) > 0 {
		machine, err := r.Docker.Machine(ctx)
		if err != nil {
			r.Log.Warn("the memory of the host is unknown", "err", err)
		}
		d.MemTotal = machine.MemBytes
	}
	args, hidden, err := dockerArgs(d)
	if err != nil {
		return Command{}, err
	}
	words, err := healthWords(d.Task)
	return Command{Args: args, Secrets: hidden, HealthWords: words, Stdout: r.sandbox.stdout, Stderr: r.sandbox.stderr}, err
}

// follow copies the output of a running container that no docker run copies. An
// activity that ended before says nothing about the container.
func (r *runner) follow(ctx context.Context) {
	r.last, r.endedAt = activity{}, time.Time{}
	if time.Now().Before(r.followPaused) {
		return
	}
	r.followPaused = time.Now().Add(pollBusy << min(r.follows, 6)) // back off: some log drivers cannot be read
	r.follows++
	r.begin(ctx, follow, r.followOutput)
}

// readRest waits for the rest of the output of a container that has ended, but not for
// ever.
func (r *runner) readRest(ctx context.Context) {
	if r.endedAt.IsZero() {
		r.endedAt = time.Now()
	}
	switch {
	case r.current == nil:
		r.begin(ctx, follow, r.followOutput)
	case time.Since(r.endedAt) > outputWait:
		r.current.cancel()
	}
}

// stop repeats docker stop until the task has ended. One call is not enough: there may
// be no container yet, and docker stop does nothing, with success, to a container that
// was only created. A later kill counts only if its grace period is shorter.
func (r *runner) stop(ctx context.Context, grace time.Duration) {
	stopping := r.reported.killed && r.grace > 0 && grace >= r.grace
	r.reported.killed = true
	if stopping {
		return
	}
	r.grace = grace
	if r.underWay() == pull {
		r.current.cancel()
		return
	}
	seconds := strconv.Itoa(int((grace + time.Second - 1) / time.Second))
	r.wg.Go(func() {
		for ctx.Err() == nil {
			pause := stopRetry
			if a := r.dockerCommand(ctx, "stop", "-t", seconds, r.Task.containerName()); a.exit == 0 {
				pause = pollBusy
			}
			wake.Sleep(ctx, pause)
		}
	})
}

// terminalStatus returns the last update of a task.
func (r *runner) terminalStatus(c Container, end decision) mesos.TaskStatus {
	switch {
	case end.neverStarted:
		return mesos.TaskStatus{State: mesos.TASK_KILLED.Enum(), Message: new("Killed before its container started")}
	case end.vanished:
		return mesos.TaskStatus{State: mesos.TASK_FAILED.Enum(), Message: new("Container was removed")}
	case r.last.kind == pull:
		return launchFailed(r.pullError())
	case c.ended():
		return exitStatus(c.ExitCode, "")
	case r.reported.running:
		return exitStatus(r.last.exit, "")
	}
	return exitStatus(r.last.exit, dockerError(tail(filepath.Join(r.Sandbox, "stderr"), stderrLimit)))
}
