package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"golang.org/x/sync/errgroup"

	"tombolo/framework/local"
	"tombolo/internal/state"
	"tombolo/internal/wake"
)

// engineRetry is the pause between attempts to reach the Engine.
const engineRetry = 250 * time.Millisecond

// Agent runs the tasks of one host.
type Agent struct {
	cfg        Config
	docker     Docker
	checkpoint checkpoint
	log        *slog.Logger

	inbox *wake.Queue[func(context.Context)] // functions that Run calls

	// Owned by Run.
	master    local.Master
	group     *errgroup.Group
	id        string // empty before the first registration
	machine   Machine
	connected bool // registered with the master
	tasks     map[local.TaskRef]*task
}

type task struct {
	savedTask
	runner    *runner // nil: the task has ended
	discarded bool    // the agent ends it without updates
}

// New checks cfg and reads the ID that an earlier agent stored in the WorkDir. It starts
// nothing.
func New(cfg Config, log *slog.Logger) (*Agent, error) {
	cfg.IP = cmp.Or(cfg.IP, "127.0.0.1")
	cfg.Port = cmp.Or(cfg.Port, 5051)
	if cfg.Hostname == "" || !filepath.IsAbs(cfg.WorkDir) {
		return nil, fmt.Errorf("agent %q: it needs a hostname and an absolute work folder, which %q is not", cfg.Hostname, cfg.WorkDir)
	}
	a := &Agent{
		cfg: cfg, docker: cfg.Docker, checkpoint: checkpoint{dir: cfg.WorkDir}, log: log.With("host", cfg.Hostname),
		inbox: wake.NewQueue[func(context.Context)](), tasks: map[local.TaskRef]*task{},
	}
	var err error
	if a.docker == nil {
		if a.docker, err = NewDocker(cfg.DockerHost); err != nil {
			return nil, fmt.Errorf("agent %s: %w", cfg.Hostname, err)
		}
	}
	switch a.id, err = a.checkpoint.agentID(); {
	case errors.Is(err, state.ErrBroken):
		a.id = ""
		a.log.Error("the agent's ID is lost: it registers as a new agent", "err", err)
	case err != nil:
		return nil, fmt.Errorf("agent %s: %w", cfg.Hostname, err)
	}
	return a, nil
}

// Send queues a message from the master: Agent is a local.Agent.
func (a *Agent) Send(m local.ToAgent) {
	a.inbox.Put(func(ctx context.Context) { a.handle(ctx, m) })
}

// Run takes over the tasks of an earlier agent, and serves the master until ctx ends.
// It then returns nil. The containers run on.
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
			for _, f := range a.inbox.Take() {
				f(ctx)
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
	saved, err := a.checkpoint.load()
	if err != nil {
		a.log.Warn("tasks are lost: their checkpoints cannot be read", "err", err)
	}
	containers := map[string]bool{}
	for _, s := range saved {
		containers[s.ContainerID] = true
		t := &task{savedTask: s}
		a.tasks[s.Ref()] = t
		if local.IsTerminal(s.State) {
			continue
		}
		a.start(ctx, t)
		if s.Killed {
			t.runner.kill(killGrace(s.Info.KillPolicy))
		}
	}
	if err := sweepSandboxes(a.cfg.WorkDir, func(id string) bool { return containers[id] }); err != nil {
		a.log.Warn("old sandboxes are left behind", "err", err)
	}
}

// watch is the watcher: it follows the Engine's events, and connects again after it has
// lost the Engine.
func (a *Agent) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := a.docker.Watch(ctx, func(name string) {
			if name != "" {
				a.inbox.Put(func(context.Context) { a.lookAgain(name) })
				return
			}
			machine, err := a.docker.Machine(ctx)
			if err != nil {
				return // the Engine is gone again, and Watch is about to fail
			}
			containers, err := a.docker.List(ctx)
			if err != nil {
				a.log.Warn("orphaned containers are not looked for", "err", err)
			}
			a.inbox.Put(func(ctx context.Context) { a.engineUp(ctx, machine, containers) })
		})
		if ctx.Err() == nil {
			a.inbox.Put(func(context.Context) { a.engineDown(err) })
		}
		wake.Sleep(ctx, engineRetry)
	}
}

func (a *Agent) engineUp(ctx context.Context, machine Machine, containers []Container) {
	a.machine = machine
	a.removeOrphans(ctx, containers)
	a.lookAgain("")
	a.register()
}

func (a *Agent) engineDown(err error) {
	if a.connected {
		a.log.Warn("the Docker Engine does not answer; the agent keeps trying", "err", err)
	}
	a.depart()
	a.lookAgain("")
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
			if t.Ref().FrameworkID == m.FrameworkID {
				a.discard(ctx, t)
			}
		}
	case local.Acknowledge:
		a.acknowledge(ctx, m)
	}
}

// lookAgain makes the runner of a container look at it. With an empty name it makes all
// runners look.
func (a *Agent) lookAgain(name string) {
	for _, t := range a.tasks {
		if t.runner != nil && (name == "" || t.containerName() == name) {
			t.runner.lookAgain.Notify()
		}
	}
}

// register announces the agent and its tasks to the master.
func (a *Agent) register() {
	r := local.Registration{Info: agentInfo(a.cfg, a.machine)}
	if a.id != "" {
		r.Info.ID = &mesos.AgentID{Value: a.id}
	}
	for _, t := range a.tasks {
		reported := t.Task
		reported.Pending = slices.Clone(t.Pending)
		r.Tasks = append(r.Tasks, reported)
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

// registered handles the master's answer to a registration.
func (a *Agent) registered(ctx context.Context, m local.Registered) {
	if a.id != m.AgentID.Value {
		if err := a.checkpoint.setAgentID(m.AgentID.Value); err != nil {
			a.log.Error("the agent's ID is not stored", "err", err)
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
