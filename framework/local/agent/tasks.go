package agent

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
	"tombolo/internal/wake"
)

// removeWait bounds docker rm.
const removeWait = 10 * time.Second

func (a *Agent) launch(ctx context.Context, m local.Launch) {
	t := &task{savedTask: savedTask{
		AgentID: a.id, ContainerID: uuid.NewString(), Framework: m.Framework, Task: m.Task,
		State: mesos.TASK_STAGING,
	}}
	if a.tasks[t.ref()] != nil {
		a.log.Warn("task is here already", "task", m.Task.TaskID.Value)
		return
	}
	a.tasks[t.ref()] = t
	err := a.saved.save(t.savedTask)
	if len(m.Task.GetCommand().GetURIs()) > 0 {
		err = fmt.Errorf("Failed to fetch all URIs for container '%s': this agent has no fetcher", t.ContainerID) //nolint:staticcheck // Mesos' words
	}
	if err != nil {
		a.update(ctx, t, launchFailed(err))
		return
	}
	a.start(ctx, t)
}

// start gives the task its runner.
func (a *Agent) start(ctx context.Context, t *task) {
	ref := t.ref()
	t.runner = newRunner(runnerConfig{
		Docker: a.docker, Host: a.cfg.DockerHost, Task: t.savedTask,
		Sandbox: sandboxDir(a.cfg.WorkDir, t.savedTask),
		Log:     a.log.With("task", t.Task.TaskID.Value, "container", t.containerName()),
		Report:  func(s mesos.TaskStatus) { a.events.Put(taskChanged{ref, s}) },
	})
	r := t.runner
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
		policy = t.Task.KillPolicy
	}
	t.runner.kill(killGrace(policy))
}

// discard ends a task that nobody asks about any more.
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

// update completes a status of a task, keeps it and passes it on.
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
	t.Latest.Data = nil // what docker inspect says goes with the update
	a.save(t)
	a.log.Info("task changes", "task", t.Task.TaskID.Value, "state", t.State.String(), "message", s.GetMessage())
	if a.connected {
		a.master.Send(a, local.TaskUpdate{FrameworkID: *t.Framework.ID, Status: s})
	}
}

// complete fills in what every update carries.
func (a *Agent) complete(t *task, s *mesos.TaskStatus) {
	now := float64(time.Now().UnixMicro()) / 1e6
	s.TaskID = t.Task.TaskID
	s.AgentID = &mesos.AgentID{Value: a.id}
	s.ExecutorID = &mesos.ExecutorID{Value: t.Task.TaskID.Value}
	s.Timestamp = &now
	s.UUID = make([]byte, 16)
	rand.Read(s.UUID) //nolint:errcheck // never fails
	if s.Source != nil {
		return // the agent's own word: no container was there
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
	for i, p := range t.Pending {
		if string(p.UUID) != string(m.UUID) {
			continue
		}
		t.Pending = append(t.Pending[:i:i], t.Pending[i+1:]...)
		if !local.IsTerminal(p.GetState()) {
			a.save(t)
			return
		}
		delay := a.cfg.RemoveDelay
		if t.Killed {
			delay = 0
		}
		a.forget(ctx, t, delay)
		return
	}
}

// forget drops a task, and its container and sandbox after delay.
func (a *Agent) forget(ctx context.Context, t *task, delay time.Duration) {
	delete(a.tasks, t.ref())
	if err := a.saved.forget(t.ContainerID); err != nil {
		a.log.Warn("task file stays", "err", err)
	}
	name, dir := t.containerName(), sandboxDir(a.cfg.WorkDir, t.savedTask)
	a.group.Go(func() error {
		wake.Sleep(ctx, delay) // an agent that stops does it now
		a.remove(ctx, name)
		if err := removeSandbox(dir); err != nil {
			a.log.Warn("sandbox stays", "err", err)
		}
		return nil
	})
}

// removeOrphans removes the containers that an agent on this WorkDir started and
// no task owns.
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

// remove removes a container if it is there, even while the agent stops. What it
// cannot remove, the next agent finds as an orphan.
func (a *Agent) remove(ctx context.Context, name string) {
	if err := removeContainer(ctx, a.docker, a.cfg.DockerHost, name); err != nil {
		a.log.Warn("container stays", "container", name, "err", err)
	}
}

func removeContainer(ctx context.Context, docker Docker, host, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeWait)
	defer cancel()
	_, err := docker.Run(ctx, Command{Args: append(hostArgs(host), "rm", "-f", "-v", name)})
	return err
}

func (a *Agent) save(t *task) {
	if err := a.saved.save(t.savedTask); err != nil {
		a.log.Error("task is not kept", "task", t.Task.TaskID.Value, "err", err)
	}
}
