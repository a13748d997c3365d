package master

import (
	"bytes"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

const (
	firstRetry = 10 * time.Second
	maxRetry   = 10 * time.Minute
)

// task is a task of a framework on an agent, from its launch until its last
// update is acknowledged. Updates go out one at a time: the first of pending has
// been sent (again and again) and waits for its acknowledgement.
type task struct {
	info      mesos.TaskInfo
	framework *framework
	agent     *agent
	state     mesos.TaskState // the newest
	resources mesos.Resources // without allocation_info
	sent      mesos.TaskStatus
	pending   []mesos.TaskStatus
	retry     *timer
	interval  time.Duration
	killed    *local.Kill // asked for while the agent was away
}

func (t *task) ref() local.TaskRef {
	return local.TaskRef{FrameworkID: mesos.FrameworkID{Value: t.framework.id}, TaskID: t.info.TaskID}
}

func (m *Master) addTask(f *framework, a *agent, info mesos.TaskInfo) *task {
	t := &task{
		info: info, framework: f, agent: a, state: mesos.TASK_STAGING,
		resources: mesos.Resources(info.Resources).Clone().Unallocate(),
	}
	f.tasks[info.TaskID.Value] = t
	a.tasks[t.ref()] = t
	return t
}

// forget takes a task out of the books and gives its resources back.
func (m *Master) forget(t *task) {
	m.timers.stop(t.retry)
	delete(t.agent.tasks, t.ref())
	if t.framework.tasks[t.info.TaskID.Value] == t {
		delete(t.framework.tasks, t.info.TaskID.Value)
	}
	m.freed(t.agent)
}

// adoptTask takes an agent's word for a task.
func (m *Master) adoptTask(a *agent, f *framework, told local.Task) *task {
	ref := local.TaskRef{FrameworkID: mesos.FrameworkID{Value: f.id}, TaskID: told.Task.TaskID}
	t := a.tasks[ref]
	if t == nil {
		if other := f.tasks[told.Task.TaskID.Value]; other != nil {
			m.forget(other) // a duplicate made during a partition: the newest word counts
		}
		t = m.addTask(f, a, told.Task)
		if lost := a.lost[f.id][told.Task.TaskID.Value]; lost != nil {
			t.sent = lost.sent
		}
	}
	t.state, t.pending = told.State, told.Pending
	if len(told.Pending) == 0 && told.Latest.TaskID.Value != "" {
		t.sent = told.Latest
	}
	return t
}

// update takes a change of a task from its agent. A task that the master gave up
// (its launch and the agent's return may cross) must not live on.
func (m *Master) update(a *agent, u local.TaskUpdate) {
	ref := local.TaskRef{FrameworkID: u.FrameworkID, TaskID: u.Status.TaskID}
	t := a.tasks[ref]
	if t == nil {
		m.log.Info("unknown task ended", "task", u.Status.TaskID.Value, "agent", a.id)
		a.tell(local.Registered{AgentID: a.agentID(), Unknown: []local.TaskRef{ref}})
		return
	}
	t.state = u.Status.GetState()
	t.pending = append(t.pending, u.Status)
	if local.IsTerminal(t.state) {
		m.freed(a)
	}
	if len(t.pending) == 1 {
		m.deliver(t, firstRetry)
	}
}

// deliver sends the oldest update of a task and plans to send it again.
func (m *Master) deliver(t *task, again time.Duration) {
	if len(t.pending) == 0 || t.agent.port == nil {
		return
	}
	m.timers.stop(t.retry)
	t.sent, t.interval = t.pending[0], again
	m.sendStatus(t.framework, t.pending[0])
	t.retry = m.timers.after(again, func() {
		next := min(2*t.interval, maxRetry)
		if t.framework.stream == nil {
			next = firstRetry // nobody heard it
		}
		m.deliver(t, next)
	})
}

// resend delivers what is pending on an agent that has come (back), both ways.
func (m *Master) resend(a *agent) {
	for _, t := range a.tasks {
		m.deliver(t, firstRetry)
		if t.killed != nil && !local.IsTerminal(t.state) {
			a.tell(*t.killed)
		}
		t.killed = nil
	}
}

// resume starts the retries of a framework that has come back anew: what was sent
// while it was away was heard by nobody.
func (m *Master) resume(f *framework) {
	for _, t := range f.tasks {
		if len(t.pending) > 0 && t.interval > firstRetry {
			m.timers.stop(t.retry)
			t.retry = m.timers.after(firstRetry, func() { m.deliver(t, firstRetry) })
		}
	}
}

func (m *Master) acknowledge(f *framework, c *scheduler.Call_Acknowledge) {
	t := f.tasks[c.TaskID.Value]
	if t == nil || t.agent.id != c.AgentID.Value || t.agent.port == nil ||
		len(t.pending) == 0 || !bytes.Equal(t.pending[0].UUID, c.UUID) {
		m.log.Debug("acknowledgement ignored", "framework", f.id, "task", c.TaskID.Value)
		return
	}
	last := t.pending[0]
	t.pending = t.pending[1:]
	m.timers.stop(t.retry)
	t.agent.tell(local.Acknowledge{TaskRef: t.ref(), UUID: c.UUID})
	if local.IsTerminal(last.GetState()) {
		m.forget(t)
		return
	}
	m.deliver(t, firstRetry)
}

// masterStatus is a status of the task by the master's own word: it has no uuid
// and wants no acknowledgement. Like a real master it tells the state that the
// framework was sent last, not one that still waits for its turn.
func (t *task) masterStatus(reason mesos.TaskStatus_Reason, message string) mesos.TaskStatus {
	state := t.state
	if t.sent.State != nil {
		state = *t.sent.State
	}
	id := t.agent.agentID()
	status := masterStatus(t.info.TaskID, &id, state)
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

func (m *Master) sendStatus(f *framework, status mesos.TaskStatus) {
	f.send(&scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: status}})
}

// kill forwards to the agent, or answers for it.
func (m *Master) kill(f *framework, c *scheduler.Call_Kill) {
	t := f.tasks[c.TaskID.Value]
	if t == nil {
		m.reconcileOne(f, c.TaskID, c.AgentID)
		return
	}
	kill := local.Kill{TaskRef: t.ref(), Policy: c.KillPolicy}
	if t.agent.port == nil {
		t.killed = &kill
		return
	}
	t.agent.tell(kill)
}

// shutdownExecutor ends an executor: a Docker task's has the task's id.
func (m *Master) shutdownExecutor(f *framework, c *scheduler.Call_Shutdown) {
	if t := f.tasks[c.ExecutorID.Value]; t != nil && t.agent.id == c.AgentID.Value {
		t.agent.tell(local.Kill{TaskRef: t.ref(), Policy: &mesos.KillPolicy{
			GracePeriod: &mesos.DurationInfo{Nanoseconds: int64(local.ShutdownGrace)},
		}})
	}
}

// reconcile tells the states of the named tasks, or of all.
func (m *Master) reconcile(f *framework, c *scheduler.Call_Reconcile) {
	for _, t := range c.Tasks {
		m.reconcileOne(f, t.TaskID, t.AgentID)
	}
	if len(c.Tasks) == 0 {
		for _, t := range f.tasks {
			m.sendStatus(f, t.masterStatus(mesos.REASON_RECONCILIATION, "Reconciliation: Latest task state"))
		}
	}
}

// reconcileOne tells the state of one task, or says nothing while an agent that
// may have it has not come back since the master's start.
func (m *Master) reconcileOne(f *framework, id mesos.TaskID, agent *mesos.AgentID) {
	if t := f.tasks[id.Value]; t != nil {
		m.sendStatus(f, t.masterStatus(mesos.REASON_RECONCILIATION, "Reconciliation: Latest task state"))
		return
	}
	state, message, since, known := m.fate(agent)
	if !known {
		return
	}
	status := masterStatus(id, agent, lostState(f, state))
	status.Reason, status.Message = mesos.REASON_RECONCILIATION.Enum(), &message
	status.UnreachableTime = since
	m.sendStatus(f, status)
}

// fate is what became of a task that the master does not have; known is false
// while that is open.
func (m *Master) fate(agent *mesos.AgentID) (state mesos.TaskState, message string, since *mesos.TimeInfo, known bool) {
	if agent == nil {
		return mesos.TASK_UNKNOWN, "Reconciliation: Task is unknown", nil, !m.recovering()
	}
	a := m.agents[agent.Value]
	switch {
	case m.gone[agent.Value]:
		return mesos.TASK_GONE_BY_OPERATOR, "Reconciliation: Task is gone", nil, true
	case a == nil:
		return mesos.TASK_UNKNOWN, "Reconciliation: Task is unknown", nil, true
	case a.unreachable != nil:
		return mesos.TASK_UNREACHABLE, "Reconciliation: Task is unreachable", a.unreachable, true
	case !a.registered:
		return 0, "", nil, false
	default:
		return mesos.TASK_GONE, "Reconciliation: Task is unknown to the agent", nil, true
	}
}

// recovering says whether agents of the master's last life are still awaited.
func (m *Master) recovering() bool {
	for _, a := range m.agents {
		if !a.registered && a.unreachable == nil {
			return true
		}
	}
	return false
}
