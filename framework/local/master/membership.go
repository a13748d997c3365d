package master

import (
	"fmt"
	"log/slog"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// membership moves agents between the states that type agent shows.
type membership struct {
	agentTimeout  time.Duration
	log           *slog.Logger
	loop          *loop
	registry      *registry
	tasks         *taskBook
	offers        *allocator
	subscriptions *subscriptions
}

// receive handles a message from an agent.
func (m *membership) receive(from local.Agent, message local.ToMaster) {
	if r, ok := message.(local.Registration); ok {
		m.register(from, r)
		return
	}
	a := m.registry.connected[from]
	if a == nil {
		m.log.Debug("dropped a message of an unregistered agent", "message", fmt.Sprintf("%T", message))
		return
	}
	switch message := message.(type) {
	case local.TaskUpdate:
		m.tasks.update(a, message)
	case local.Departure:
		m.depart(a, message.Final)
	}
}

// register connects an agent, whether it is new or back.
func (m *membership) register(from local.Agent, r local.Registration) {
	id := r.Info.GetID().GetValue()
	a, known := m.registry.agents[id]
	if !known {
		a = m.registry.addAgent(id)
	}
	a.timeout.stop()
	wasUnreachable := a.unreachable != nil
	changed := !known || a.info.Hostname != r.Info.Hostname
	delete(m.registry.connected, a.conn)
	m.registry.connected[from] = a
	a.info, a.conn, a.registered, a.unreachable = r.Info, from, true, nil
	a.info.ID = &mesos.AgentID{Value: a.id}
	if changed {
		m.registry.save()
	}
	m.log.Info("agent registered", "host", a.info.Hostname, "agent", a.id, "tasks", len(r.Tasks))
	if m.registry.isGone(id) {
		r.Tasks = nil // the agent kills them when it learns its new ID
	}
	unknown := m.adopt(a, r.Tasks, wasUnreachable)
	a.send(local.Registered{AgentID: a.agentID(), Unknown: unknown})
	m.dropMissing(a, r.Tasks)
	m.tasks.resume(a)
	if known {
		m.offers.offerSoon(a) // not at once: updates that free resources are likely to follow
		return
	}
	m.offers.allocate([]*agent{a})
}

// adopt merges the tasks that an agent reports into the master's, and returns those
// that the agent must kill.
func (m *membership) adopt(a *agent, reported []local.Task, wasUnreachable bool) (unknown []local.TaskRef) {
	for _, r := range reported {
		ref := r.Ref()
		f := m.registry.frameworks[ref.FrameworkID.Value]
		if f == nil && !m.registry.removed[ref.FrameworkID.Value] {
			f = m.subscriptions.recover(r.Framework, m.agentTimeout)
		}
		if f == nil || lostForGood(a, f, ref) {
			unknown = append(unknown, ref)
			continue
		}
		t := m.tasks.adopt(a, f, r)
		if wasUnreachable && !local.IsTerminal(t.state) {
			f.sendStatus(t.masterStatus(mesos.REASON_AGENT_REREGISTERED, "Unreachable agent re-reregistered"))
		}
	}
	a.lost = map[string]map[string]*task{}
	return unknown
}

// lostForGood reports whether a task stays lost although its agent is back. Tasks of
// frameworks without checkpointing do, unless the master was restarted in between.
func lostForGood(a *agent, f *framework, ref local.TaskRef) bool {
	_, lost := a.lost[f.id][ref.TaskID.Value]
	return lost && !f.info.GetCheckpoint()
}

// dropMissing drops the tasks that an agent did not report, because it never got their
// launch or has lost them.
func (m *membership) dropMissing(a *agent, reported []local.Task) {
	known := map[local.TaskRef]bool{}
	for _, r := range reported {
		known[r.Ref()] = true
	}
	for ref, t := range a.tasks {
		if known[ref] {
			continue
		}
		m.tasks.forget(t)
		if !local.IsTerminal(t.state) {
			status := t.masterStatus(mesos.REASON_RECONCILIATION, "Reconciliation: Task is unknown to the agent")
			status.State = t.framework.lostState(mesos.TASK_DROPPED).Enum()
			t.framework.sendStatus(status)
		}
	}
}

// depart rescinds an agent's offers. It gives up the agent's tasks at once if the
// departure is final, and after the agent timeout otherwise.
func (m *membership) depart(a *agent, final bool) {
	m.log.Warn("agent disconnected", "host", a.info.Hostname, "agent", a.id, "final", final)
	delete(m.registry.connected, a.conn)
	a.conn = nil
	if final {
		m.registry.departed[a.id] = true
		m.remove(a, fmt.Sprintf("Agent %s removed: the agent unregistered", a.info.Hostname))
		return
	}
	m.offers.rescindAll(a)
	for ref, t := range a.tasks {
		t.retry.stop()
		if !t.framework.info.GetCheckpoint() {
			m.lose(a, ref, mesos.REASON_AGENT_DISCONNECTED, fmt.Sprintf("Agent %s disconnected", a.info.Hostname))
		}
	}
	m.awaitReturn(a)
}

// awaitReturn makes an agent unreachable that does not register within the timeout.
func (m *membership) awaitReturn(a *agent) {
	a.timeout = m.loop.after(m.agentTimeout, func() { m.markUnreachable(a) })
}

func (m *membership) markUnreachable(a *agent) {
	m.log.Warn("agent unreachable", "host", a.info.Hostname, "agent", a.id)
	a.unreachable = &mesos.TimeInfo{Nanoseconds: time.Now().UnixNano()}
	for ref := range a.tasks {
		m.lose(a, ref, mesos.REASON_AGENT_REMOVED, "health check timed out")
	}
	m.sendFailure(a)
}

// markGone handles MARK_AGENT_GONE: it gives up the agent and its tasks for ever. An
// agent that comes back nevertheless gets a new ID and kills its tasks.
func (m *membership) markGone(a *agent) {
	frameworks := map[string]bool{}
	for ref, t := range a.tasks {
		frameworks[ref.FrameworkID.Value] = true
		reason := mesos.REASON_AGENT_REMOVED
		if t.framework.can(mesos.FrameworkInfo_Capability_PARTITION_AWARE) {
			reason = mesos.REASON_AGENT_REMOVED_BY_OPERATOR
		}
		status := t.masterStatus(reason, "Agent has been marked gone")
		status.State = t.framework.lostState(mesos.TASK_GONE_BY_OPERATOR).Enum()
		status.ContainerStatus = nil
		m.tasks.forget(t)
		t.framework.sendStatus(status)
	}
	for id := range frameworks {
		a.send(local.Shutdown{FrameworkID: mesos.FrameworkID{Value: id}})
	}
	m.registry.gone[a.id] = true
	m.remove(a, "marked gone")
}

// remove forgets an agent and gives up its tasks.
func (m *membership) remove(a *agent, why string) {
	for ref := range a.tasks {
		m.lose(a, ref, mesos.REASON_AGENT_REMOVED, why)
	}
	m.offers.rescindAll(a)
	delete(m.registry.connected, a.conn)
	delete(m.registry.agents, a.id)
	m.registry.save()
	m.sendFailure(a)
}

// lose gives up a task together with its agent, and tells its framework.
func (m *membership) lose(a *agent, ref local.TaskRef, reason mesos.TaskStatus_Reason, why string) {
	t := a.tasks[ref]
	f := t.framework
	m.tasks.forget(t)
	if a.lost[f.id] == nil {
		a.lost[f.id] = map[string]*task{}
	}
	a.lost[f.id][ref.TaskID.Value] = t
	if local.IsTerminal(t.state) {
		return // the agent delivers the task's last update when it is back
	}
	status := t.masterStatus(reason, why)
	status.State, status.ContainerStatus = mesos.TASK_LOST.Enum(), nil
	if a.unreachable != nil {
		status.State = f.lostState(mesos.TASK_UNREACHABLE).Enum()
		status.UnreachableTime = a.unreachable
	}
	f.sendStatus(status)
}

// sendFailure tells every framework that an agent is gone.
func (m *membership) sendFailure(a *agent) {
	id := a.agentID()
	for _, f := range m.registry.sortedFrameworks() {
		f.send(&scheduler.Event{
			Type:    scheduler.Event_FAILURE,
			Failure: &scheduler.Event_Failure{AgentID: &id},
		})
	}
}
