package master

import (
	"bytes"
	"log/slog"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// The pauses between the attempts to deliver an update double from the first to the
// longest.
const (
	firstRetry   = 10 * time.Second
	longestRetry = 10 * time.Minute
)

// task is a task of a framework on an agent, from its launch until its last update is
// acknowledged.
type task struct {
	info      mesos.TaskInfo
	framework *framework
	agent     *agent
	state     mesos.TaskState // the newest that the agent reported
	resources mesos.Resources // without allocation_info
	// pending are the updates that are not acknowledged, oldest first. The master
	// repeats the first one until it is acknowledged and only then sends the next.
	pending  []mesos.TaskStatus
	sent     mesos.TaskStatus // the last update sent; its State is nil before the first
	retry    *timer           // sends pending[0] again
	interval time.Duration    // of retry
	kill     *local.Kill      // a KILL that came while the agent was disconnected; nil: none
}

func (t *task) ref() local.TaskRef {
	return local.TaskRef{FrameworkID: mesos.FrameworkID{Value: t.framework.id}, TaskID: t.info.TaskID}
}

// masterStatus returns a status that the master generates by itself. It has no UUID and
// is not acknowledged. Like Apache Mesos it has the state that was sent last, even if a
// newer one is pending.
func (t *task) masterStatus(reason mesos.TaskStatus_Reason, message string) mesos.TaskStatus {
	state := t.state
	if t.sent.State != nil {
		state = *t.sent.State
	}
	status := masterStatus(t.info.TaskID, new(t.agent.agentID()), state)
	status.Reason, status.Message = &reason, &message
	status.Healthy, status.ContainerStatus = t.sent.Healthy, t.sent.ContainerStatus
	return status
}

func masterStatus(id mesos.TaskID, agent *mesos.AgentID, state mesos.TaskState) mesos.TaskStatus {
	now := float64(time.Now().UnixMicro()) / 1e6
	return mesos.TaskStatus{
		TaskID: id, AgentID: agent, State: &state, Timestamp: &now,
		Source: mesos.SOURCE_MASTER.Enum(),
	}
}

// taskBook keeps the tasks of frameworks and agents, and delivers their updates.
type taskBook struct {
	log    *slog.Logger
	loop   *loop
	offers *allocator
}

func (b *taskBook) add(f *framework, a *agent, info mesos.TaskInfo) *task {
	t := &task{
		info: info, framework: f, agent: a, state: mesos.TASK_STAGING,
		resources: mesos.Resources(info.Resources).Clone().Unallocate(),
	}
	f.tasks[info.TaskID.Value] = t
	a.tasks[t.ref()] = t
	return t
}

// adopt takes over what an agent reports of a task.
func (b *taskBook) adopt(a *agent, f *framework, reported local.Task) *task {
	id := reported.Info.TaskID.Value
	t := a.tasks[reported.Ref()]
	if t == nil {
		if other := f.tasks[id]; other != nil {
			b.forget(other) // launched twice during a partition: the task that is reported now counts
		}
		t = b.add(f, a, reported.Info)
		if lost := a.lost[f.id][id]; lost != nil {
			t.sent = lost.sent
		}
	}
	t.state, t.pending = reported.State, reported.Pending
	if len(reported.Pending) == 0 && reported.Latest.TaskID.Value != "" {
		t.sent = reported.Latest
	}
	return t
}

// forget removes a task and offers its resources again.
func (b *taskBook) forget(t *task) {
	t.retry.stop()
	delete(t.agent.tasks, t.ref())
	if t.framework.tasks[t.info.TaskID.Value] == t {
		delete(t.framework.tasks, t.info.TaskID.Value)
	}
	b.offers.offerSoon(t.agent)
}

// update handles a change of a task. If the master has given up the task, because its
// launch and the agent's registration crossed, the agent must kill it.
func (b *taskBook) update(a *agent, u local.TaskUpdate) {
	ref := local.TaskRef{FrameworkID: u.FrameworkID, TaskID: u.Status.TaskID}
	t := a.tasks[ref]
	if t == nil {
		b.log.Info("an update for an unknown task: the agent is told to kill it", "task", u.Status.TaskID.Value, "agent", a.id)
		a.send(local.Registered{AgentID: a.agentID(), Unknown: []local.TaskRef{ref}})
		return
	}
	t.state = u.Status.GetState()
	t.pending = append(t.pending, u.Status)
	if local.IsTerminal(t.state) {
		b.offers.offerSoon(a)
	}
	if len(t.pending) == 1 {
		b.deliver(t, firstRetry)
	}
}

// deliver sends the oldest pending update, and sends it again after retry.
func (b *taskBook) deliver(t *task, retry time.Duration) {
	if len(t.pending) == 0 || t.agent.conn == nil {
		return
	}
	t.retry.stop()
	t.sent, t.interval = t.pending[0], retry
	t.framework.sendStatus(t.pending[0])
	t.retry = b.loop.after(retry, func() {
		next := min(2*t.interval, longestRetry)
		if t.framework.stream == nil {
			next = firstRetry // this attempt reaches nobody
		}
		b.deliver(t, next)
	})
}

// resume continues with the tasks of an agent that has registered: it delivers their
// updates, and sends the agent the kills that it missed.
func (b *taskBook) resume(a *agent) {
	for _, t := range a.tasks {
		b.deliver(t, firstRetry)
		if t.kill != nil && !local.IsTerminal(t.state) {
			a.send(*t.kill)
		}
		t.kill = nil
	}
}

// retrySoon shortens the pauses for a framework that has subscribed again: it may have
// missed the updates that were sent while it was away.
func (b *taskBook) retrySoon(f *framework) {
	for _, t := range f.tasks {
		if len(t.pending) > 0 && t.interval > firstRetry {
			t.retry.stop()
			t.retry = b.loop.after(firstRetry, func() { b.deliver(t, firstRetry) })
		}
	}
}

// acknowledge handles ACKNOWLEDGE. It ignores one that is not for the oldest pending
// update.
func (b *taskBook) acknowledge(f *framework, c *scheduler.Call_Acknowledge) {
	t := f.tasks[c.TaskID.Value]
	if t == nil || t.agent.id != c.AgentID.Value || t.agent.conn == nil ||
		len(t.pending) == 0 || !bytes.Equal(t.pending[0].UUID, c.UUID) {
		b.log.Debug("acknowledgement ignored", "framework", f.id, "task", c.TaskID.Value)
		return
	}
	last := t.pending[0]
	t.pending = t.pending[1:]
	t.retry.stop()
	t.agent.send(local.Acknowledge{TaskRef: t.ref(), UUID: c.UUID})
	if local.IsTerminal(last.GetState()) {
		b.forget(t)
		return
	}
	b.deliver(t, firstRetry)
}
