package agent

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
	"tombolo/internal/wake"
)

func (a *Agent) launch(ctx context.Context, m local.Launch) {
	t := &task{savedTask: savedTask{
		Task:    local.Task{Framework: m.Framework, Info: m.Task, State: mesos.TASK_STAGING},
		AgentID: a.id, ContainerID: uuid.NewString(),
	}}
	if a.tasks[t.Ref()] != nil {
		a.log.Warn("launch ignored: the agent has this task already", "task", m.Task.TaskID.Value)
		return
	}
	a.tasks[t.Ref()] = t
	err := a.checkpoint.save(t.savedTask)
	if len(m.Task.GetCommand().GetURIs()) > 0 {
		err = fmt.Errorf("Failed to fetch all URIs for container '%s': this agent has no fetcher", t.ContainerID)
	}
	if err != nil {
		a.update(ctx, t, launchFailed(err))
		return
	}
	a.start(ctx, t)
}

func (a *Agent) start(ctx context.Context, t *task) {
	ref := t.Ref()
	r := newRunner(runnerConfig{
		Docker: a.docker, Host: a.cfg.DockerHost, Task: t.savedTask,
		Sandbox: sandboxDir(a.cfg.WorkDir, t.savedTask),
		Log:     a.log.With("task", t.Info.TaskID.Value, "container", t.containerName()),
		Report: func(s mesos.TaskStatus) {
			a.inbox.Put(func(ctx context.Context) {
				if t := a.tasks[ref]; t != nil {
					a.update(ctx, t, s)
				}
			})
		},
	})
	t.runner = r
	a.group.Go(func() error { r.Run(ctx); return nil })
}

func (a *Agent) kill(ctx context.Context, m local.Kill) {
	t := a.tasks[m.TaskRef]
	if t == nil || t.runner == nil {
		return
	}
	if !t.Killed {
		t.Killed = true
		a.save(t)
		if local.HasCapability(t.Framework, mesos.FrameworkInfo_Capability_TASK_KILLING_STATE) {
			a.update(ctx, t, mesos.TaskStatus{State: mesos.TASK_KILLING.Enum()})
		}
	}
	policy := m.Policy
	if policy == nil {
		policy = t.Info.KillPolicy
	}
	t.runner.kill(killGrace(policy))
}

// discard ends a task whose framework is gone, or that the master does not know.
func (a *Agent) discard(ctx context.Context, t *task) {
	if t.discarded {
		return
	}
	t.discarded = true
	if t.runner == nil {
		a.forget(ctx, t, 0)
		return
	}
	t.runner.kill(local.ShutdownGrace)
}

// update completes a status of a task, stores it and sends it to the master.
func (a *Agent) update(ctx context.Context, t *task, s mesos.TaskStatus) {
	ended := local.IsTerminal(s.GetState())
	if ended {
		t.runner = nil
	}
	if t.discarded {
		if ended {
			a.forget(ctx, t, 0)
		}
		return
	}
	if ended && t.Killed {
		s.State = mesos.TASK_KILLED.Enum()
	}
	a.complete(t, &s)
	t.State = s.GetState()
	t.Pending = append(t.Pending, s)
	t.Latest = s
	t.Latest.Data = nil // docker inspect's output is only in the update itself
	a.save(t)
	a.log.Info("task changes", "task", t.Info.TaskID.Value, "state", t.State.String(), "message", s.GetMessage())
	if a.connected {
		a.master.Send(a, local.TaskUpdate{FrameworkID: *t.Framework.ID, Status: s})
	}
}

// complete sets the fields that every update has.
func (a *Agent) complete(t *task, s *mesos.TaskStatus) {
	s.TaskID = t.Info.TaskID
	s.AgentID = &mesos.AgentID{Value: a.id}
	s.ExecutorID = &mesos.ExecutorID{Value: t.Info.TaskID.Value}
	s.Timestamp = new(float64(time.Now().UnixMicro()) / 1e6)
	s.UUID = make([]byte, 16)
	rand.Read(s.UUID) // never fails
	if s.Source != nil {
		return // the update is the agent's, not an executor's: there was no container
	}
	s.Source = mesos.SOURCE_EXECUTOR.Enum()
	if s.ContainerStatus == nil {
		s.ContainerStatus = &mesos.ContainerStatus{}
	}
	s.ContainerStatus.ContainerID = &mesos.ContainerID{Value: t.ContainerID}
	if len(s.ContainerStatus.NetworkInfos) == 0 {
		s.ContainerStatus.NetworkInfos = []mesos.NetworkInfo{{}}
	}
	if info := &s.ContainerStatus.NetworkInfos[0]; len(info.IPAddresses) == 0 {
		info.IPAddresses = []mesos.NetworkInfo_IPAddress{ipAddress(a.cfg.IP)}
	}
}

func (a *Agent) acknowledge(ctx context.Context, m local.Acknowledge) {
	t := a.tasks[m.TaskRef]
	if t == nil {
		return
	}
	i := slices.IndexFunc(t.Pending, func(p mesos.TaskStatus) bool { return string(p.UUID) == string(m.UUID) })
	if i < 0 {
		return
	}
	acknowledged := t.Pending[i]
	t.Pending = slices.Delete(slices.Clone(t.Pending), i, i+1)
	switch {
	case !local.IsTerminal(acknowledged.GetState()):
		a.save(t)
	case t.Killed:
		a.forget(ctx, t, 0)
	default:
		a.forget(ctx, t, a.cfg.RemoveDelay)
	}
}

// forget drops a task, and after delay removes its container and sandbox. An agent that
// stops does not wait.
func (a *Agent) forget(ctx context.Context, t *task, delay time.Duration) {
	delete(a.tasks, t.Ref())
	if err := a.checkpoint.forget(t.ContainerID); err != nil {
		a.log.Warn("the task's checkpoint is left behind", "err", err)
	}
	name, dir := t.containerName(), sandboxDir(a.cfg.WorkDir, t.savedTask)
	a.group.Go(func() error {
		wake.Sleep(ctx, delay)
		a.remove(ctx, name)
		if err := removeSandbox(dir); err != nil {
			a.log.Warn("the sandbox is left behind", "err", err)
		}
		return nil
	})
}

// removeOrphans removes the containers that belong to no task but whose sandbox is in
// this WorkDir, so that an earlier agent must have started them.
func (a *Agent) removeOrphans(ctx context.Context, containers []Container) {
	owned := map[string]bool{}
	for _, t := range a.tasks {
		owned[t.containerName()] = true
	}
	for _, c := range containers {
		if owned[c.Name] || !strings.HasPrefix(c.Sandbox, a.cfg.WorkDir+"/") {
			continue
		}
		a.log.Info("removing an orphaned container", "container", c.Name, "status", c.Status)
		a.group.Go(func() error { a.remove(ctx, c.Name); return nil })
	}
}

// remove removes a container if it exists, even while the agent stops. If that fails,
// the next agent finds it as an orphan.
func (a *Agent) remove(ctx context.Context, name string) {
	if err := removeContainer(ctx, a.docker, a.cfg.DockerHost, name); err != nil {
		a.log.Warn("the container is left behind", "container", name, "err", err)
	}
}

func (a *Agent) save(t *task) {
	if err := a.checkpoint.save(t.savedTask); err != nil {
		a.log.Error("the task is not stored", "task", t.Info.TaskID.Value, "err", err)
	}
}
