package master

import (
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// reconciler answers KILL, SHUTDOWN and RECONCILE, also for tasks that the master does
// not know.
type reconciler struct{ registry *registry }

// kill forwards a KILL to the task's agent.
func (r reconciler) kill(f *framework, c *scheduler.Call_Kill) {
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
func (reconciler) shutdownExecutor(f *framework, c *scheduler.Call_Shutdown) {
	if t := f.tasks[c.ExecutorID.Value]; t != nil && t.agent.id == c.AgentID.Value {
		t.agent.send(local.Kill{TaskRef: t.ref(), Policy: &mesos.KillPolicy{
			GracePeriod: &mesos.DurationInfo{Nanoseconds: int64(local.ShutdownGrace)},
		}})
	}
}

// reconcile sends the states of the named tasks. Without names it sends those of all
// tasks that the master knows.
func (r reconciler) reconcile(f *framework, c *scheduler.Call_Reconcile) {
	for _, t := range c.Tasks {
		r.reconcileTask(f, t.TaskID, t.AgentID)
	}
	if len(c.Tasks) == 0 {
		for _, t := range f.tasks {
			f.sendStatus(t.masterStatus(mesos.REASON_RECONCILIATION, "Reconciliation: Latest task state"))
		}
	}
}

// reconcileTask sends the state of one task. It sends nothing while the agent that may
// run the task has not registered since the master started.
func (r reconciler) reconcileTask(f *framework, id mesos.TaskID, agent *mesos.AgentID) {
	if t := f.tasks[id.Value]; t != nil {
		f.sendStatus(t.masterStatus(mesos.REASON_RECONCILIATION, "Reconciliation: Latest task state"))
		return
	}
	what, known := r.fateOn(agent)
	if !known {
		return
	}
	status := masterStatus(id, agent, f.lostState(what.state))
	status.Reason, status.Message = mesos.REASON_RECONCILIATION.Enum(), new("Reconciliation: Task is "+what.text)
	status.UnreachableTime = what.since
	f.sendStatus(status)
}

// fate is the state of a task that the master does not know.
type fate struct {
	state mesos.TaskState
	text  string
	since *mesos.TimeInfo // when its agent became unreachable; nil: it did not
}

// fateOn returns the state of an unknown task that was launched on an agent. A nil
// agent means that the framework does not name one. known is false while the agent may
// still register and report the task.
func (r reconciler) fateOn(agent *mesos.AgentID) (result fate, known bool) {
	if agent == nil {
		return fate{mesos.TASK_UNKNOWN, "unknown", nil}, !r.registry.recovering()
	}
	a := r.registry.agents[agent.Value]
	switch {
	case r.registry.gone[agent.Value]:
		return fate{mesos.TASK_GONE_BY_OPERATOR, "gone", nil}, true
	case a == nil:
		return fate{mesos.TASK_UNKNOWN, "unknown", nil}, true
	case a.unreachable != nil:
		return fate{mesos.TASK_UNREACHABLE, "unreachable", a.unreachable}, true
	case !a.registered:
		return fate{}, false
	default:
		return fate{mesos.TASK_GONE, "unknown to the agent", nil}, true
	}
}
