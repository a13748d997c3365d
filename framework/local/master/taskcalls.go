package master

import (
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// taskCalls answers KILL, SHUTDOWN and RECONCILE, also for tasks that the master does
// not know.
type taskCalls struct{ registry *registry }

// kill forwards a KILL to the task's agent.
func (r taskCalls) kill(f *framework, c *scheduler.Call_Kill) {
	t := f.tasks[c.TaskID.Value]
	if t == nil {
		r.reconcileTask(f, c.TaskID, c.AgentID)
		return
	}
	kill := local.Kill{TaskRef: t.ref(), Policy: c.KillPolicy}
	if t.agent.conn == nil {
		t.kill = &kill
		return
	}
	t.agent.send(kill)
}

// shutdownExecutor handles SHUTDOWN. The executor of a Docker task has the task's ID.
func (taskCalls) shutdownExecutor(f *framework, c *scheduler.Call_Shutdown) {
	if t := f.tasks[c.ExecutorID.Value]; t != nil && t.agent.id == c.AgentID.Value {
		t.agent.send(local.Kill{TaskRef: t.ref(), Policy: &mesos.KillPolicy{
			GracePeriod: &mesos.DurationInfo{Nanoseconds: int64(local.ShutdownGrace)},
		}})
	}
}

// reconcile sends the states of the named tasks. Without names it sends those of all
// tasks that the master knows.
func (r taskCalls) reconcile(f *framework, c *scheduler.Call_Reconcile) {
	for _, t := range c.Tasks {
		r.reconcileTask(f, t.TaskID, t.AgentID)
	}
	if len(c.Tasks) == 0 {
		for _, t := range f.tasks {
			f.sendStatus(t.masterStatus(mesos.REASON_RECONCILIATION, "Reconciliation: Latest task state"))
		}
	}
}

// reconcileTask sends the state of one task. If the master does not know the task, the
// state depends on the agent that the framework names; agent is nil if it names none.
func (r taskCalls) reconcileTask(f *framework, id mesos.TaskID, agent *mesos.AgentID) {
	if t := f.tasks[id.Value]; t != nil {
		f.sendStatus(t.masterStatus(mesos.REASON_RECONCILIATION, "Reconciliation: Latest task state"))
		return
	}
	state, text := mesos.TASK_UNKNOWN, "unknown"
	var since *mesos.TimeInfo
	a := r.registry.agents[agent.GetValue()]
	switch {
	case agent == nil && r.registry.recovering(), a != nil && a.unreachable == nil && !a.registered:
		return // no answer yet: an agent may still register and report the task
	case r.registry.gone[agent.GetValue()]:
		state, text = mesos.TASK_GONE_BY_OPERATOR, "gone"
	case a == nil: // unknown
	case a.unreachable != nil:
		state, text, since = mesos.TASK_UNREACHABLE, "unreachable", a.unreachable
	default:
		state, text = mesos.TASK_GONE, "unknown to the agent"
	}
	status := masterStatus(id, agent, f.lostState(state))
	status.Reason, status.Message = mesos.REASON_RECONCILIATION.Enum(), new("Reconciliation: Task is "+text)
	status.UnreachableTime = since
	f.sendStatus(status)
}
