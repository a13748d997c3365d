package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"golang.org/x/sync/errgroup"

	"tombolo/framework/local"
	"tombolo/internal/state"
	"tombolo/internal/wake"
)

const (
	engineRetry = 250 * time.Millisecond
)

// Agent is the other half of a Mesos agent and its Docker executors: one for each
// host's Engine. One goroutine (Run) owns its state:
//
//	master ──inbox──▶ ┌───────┐ ──start, kill, nudge──▶ runner (one a task)
//	       ◀──Send─── │ agent │ ◀──────events────────── runner
//	                  └───────┘ ◀──────events────────── watcher (the Engine)
//
// It is connected to the master while its Engine answers.
//
// Where it does otherwise than Mesos' containerizer and executor (recordings 02,
// 02b, 06c, 07; testdata/deviations.txt names the tasks):
//   - docker's own words follow "Container exited with status 125" and its like,
//     without the five seconds that Mesos waits;
//   - with --detach, --restart, docker restart or a docker command that dies, the
//     task is the container, and ends when it does: Mesos reports docker's end;
//   - containers that no task owns are removed only when this WorkDir started them;
//   - the container of a killed task is removed before TASK_KILLED, any other with
//     the acknowledgement (RemoveDelay), not after six hours;
//   - URIs are refused; health_check, check and max_completion_time do nothing.
type Agent struct {
	cfg    Config
	docker Docker
	saved  checkpoint
	log    *slog.Logger

	inbox  *wake.Queue[local.ToAgent]
	events *wake.Queue[event]

	// Owned by Run.
	master    local.Master
	group     *errgroup.Group
	id        string
	machine   Machine
	connected bool
	tasks     map[local.TaskRef]*task
}

// task is a task of an agent: what is on disk, and who looks after it.
type task struct {
	savedTask
	runner    *runner // nil when the task has ended
	discarded bool    // its framework is gone: end it, tell nobody
}

// event is what the agent's own goroutines tell it.
type event interface{ toAgentItself() }

type (
	engineUp struct {
		machine    Machine
		containers []Container
	}
	engineDown       struct{ err error }
	containerChanged struct{ name string }
	taskChanged      struct {
		ref    local.TaskRef
		status mesos.TaskStatus // state, and what is special about it
	}
)

func (engineUp) toAgentItself()         {}
func (engineDown) toAgentItself()       {}
func (containerChanged) toAgentItself() {}
func (taskChanged) toAgentItself()      {}

// newAgent checks cfg and reads what an earlier agent left in its WorkDir.
func New(cfg Config, log *slog.Logger) (*Agent, error) {
	cfg.IP = cmp.Or(cfg.IP, "127.0.0.1")
	cfg.Port = cmp.Or(cfg.Port, 5051)
	if cfg.Hostname == "" || !filepath.IsAbs(cfg.WorkDir) {
		return nil, fmt.Errorf("agent %q: needs a hostname and an absolute work folder, not %q", cfg.Hostname, cfg.WorkDir)
	}
	a := &Agent{
		cfg: cfg, docker: cfg.Docker, saved: checkpoint{dir: cfg.WorkDir},
		log:   log.With("host", cfg.Hostname),
		inbox: wake.NewQueue[local.ToAgent](), events: wake.NewQueue[event](),
		tasks: map[local.TaskRef]*task{},
	}
	var err error
	if a.docker == nil {
		if a.docker, err = NewDocker(cfg.DockerHost); err != nil {
			return nil, fmt.Errorf("agent %s: %w", cfg.Hostname, err)
		}
	}
	switch a.id, err = a.saved.agentID(); {
	case errors.Is(err, state.ErrBroken):
		a.log.Error("the agent's ID is lost: it registers as a new one", "err", err)
	case err != nil:
		return nil, fmt.Errorf("agent %s: %w", cfg.Hostname, err)
	}
	return a, nil
}

// Send queues a message from the master.
func (a *Agent) Send(m local.ToAgent) { a.inbox.Put(m) }

// Run registers with master while the Engine answers and runs its tasks until ctx
// ends. The containers run on; a later Run on the same WorkDir takes them over.
func (a *Agent) Run(ctx context.Context, master local.Master) error {
	a.master = master
	a.group, ctx = errgroup.WithContext(ctx)
	a.recover(ctx)
	a.group.Go(func() error { a.watch(ctx); return nil })
	for {
		select {
		case <-ctx.Done():
			a.depart()
			return errors.Join(a.group.Wait(), a.closeDocker())
		case <-a.inbox.Ready():
			for _, m := range a.inbox.Take() {
				a.handle(ctx, m)
			}
		case <-a.events.Ready():
			for _, e := range a.events.Take() {
				a.notice(ctx, e)
			}
		}
	}
}

func (a *Agent) closeDocker() error {
	if c, ok := a.docker.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// recover takes over the tasks of an earlier agent.
func (a *Agent) recover(ctx context.Context) {
	saved, err := a.saved.load()
	if err != nil {
		a.log.Warn("dropped task files that cannot be read", "err", err)
	}
	containers := map[string]bool{}
	for _, s := range saved {
		containers[s.ContainerID] = true
		t := &task{savedTask: s}
		a.tasks[s.ref()] = t
		if !local.IsTerminal(s.State) {
			a.start(ctx, t)
		}
		if s.Killed && t.runner != nil {
			t.runner.kill(killGrace(s.Task.KillPolicy))
		}
	}
	if err := sweepSandboxes(a.cfg.WorkDir, func(id string) bool { return containers[id] }); err != nil {
		a.log.Warn("old sandboxes stay", "err", err)
	}
}

// watch tells the agent when its Engine comes, goes, and changes a container.
func (a *Agent) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := a.docker.Watch(ctx, func(name string) {
			if name != "" {
				a.events.Put(containerChanged{name})
				return
			}
			machine, err := a.docker.Machine(ctx)
			if err != nil {
				return // the stream breaks too
			}
			containers, err := a.docker.List(ctx)
			if err != nil {
				a.log.Warn("orphaned containers are not looked for", "err", err)
			}
			a.events.Put(engineUp{machine, containers})
		})
		if ctx.Err() == nil {
			a.events.Put(engineDown{err})
		}
		wake.Sleep(ctx, engineRetry)
	}
}

func (a *Agent) notice(ctx context.Context, e event) {
	switch e := e.(type) {
	case engineUp:
		a.machine = e.machine
		a.removeOrphans(ctx, e.containers)
		a.nudge("")
		a.register()
	case engineDown:
		if a.connected {
			a.log.Warn("the Docker Engine is gone; looking for it", "err", e.err)
		}
		a.depart()
		a.nudge("")
	case containerChanged:
		a.nudge(e.name)
	case taskChanged:
		if t := a.tasks[e.ref]; t != nil {
			a.update(ctx, t, e.status)
		}
	}
}

func (a *Agent) handle(ctx context.Context, m local.ToAgent) {
	switch m := m.(type) {
	case local.Registered:
		a.registered(ctx, m)
	case local.Launch:
		a.launch(ctx, m)
	case local.Kill:
		a.kill(ctx, m)
	case local.Shutdown:
		for _, t := range a.tasks {
			if t.ref().FrameworkID == m.FrameworkID {
				a.discard(ctx, t)
			}
		}
	case local.Acknowledge:
		a.acknowledge(ctx, m)
	}
}

// nudge has the runner of a container, or all, look at it again.
func (a *Agent) nudge(name string) {
	for _, t := range a.tasks {
		if t.runner != nil && (name == "" || t.containerName() == name) {
			t.runner.nudge()
		}
	}
}

// register announces the agent and everything it knows.
func (a *Agent) register() {
	info := agentInfo(a.cfg, a.machine)
	if a.id != "" {
		info.ID = &mesos.AgentID{Value: a.id}
	}
	r := local.Registration{Info: info}
	for _, t := range a.tasks {
		r.Tasks = append(r.Tasks, local.Task{
			Framework: t.Framework, Task: t.Task, State: t.State, Latest: t.Latest,
			Pending: append([]mesos.TaskStatus(nil), t.Pending...),
		})
	}
	a.connected = true
	a.master.Send(a, r)
	a.log.Info("agent registers", "agent", a.id, "tasks", len(r.Tasks), "cpus", a.machine.CPUs)
}

func (a *Agent) depart() {
	if a.connected {
		a.connected = false
		a.master.Send(a, local.Departure{})
	}
}

func (a *Agent) registered(ctx context.Context, m local.Registered) {
	if a.id != m.AgentID.Value {
		if err := a.saved.setAgentID(m.AgentID.Value); err != nil {
			a.log.Error("agent ID is not kept", "err", err)
		}
		for _, t := range a.tasks {
			a.discard(ctx, t)
		}
		a.id = m.AgentID.Value
	}
	for _, ref := range m.Unknown {
		if t := a.tasks[ref]; t != nil {
			a.discard(ctx, t)
		}
	}
}
