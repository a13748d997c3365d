package master

import (
	"fmt"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// agent is what the master knows of an agent:
//
//	  Registration            Departure           AgentTimeout
//	──────────────▶ connected ─────────▶ away ──────────────▶ unreachable
//	                    ▲                  │                       │
//	                    └──────────────────┴───── Registration ────┘
//
// After a start of the master all agents of its last life are away. One that
// departs for good is forgotten.
type agent struct {
	id          string
	info        mesos.AgentInfo
	port        local.Agent // nil unless connected
	registered  bool        // in this life of the master
	inactive    bool        // an operator wants nothing new on it
	unreachable *mesos.TimeInfo
	timeout     *timer
	tasks       map[local.TaskRef]*task
	// lost are tasks that went with the agent's connection, by framework.
	lost map[string]map[string]*task
}

func (a *agent) agentID() mesos.AgentID { return mesos.AgentID{Value: a.id} }

// tell sends a message to a connected agent.
func (a *agent) tell(message local.ToAgent) {
	if a.port != nil {
		a.port.Send(message)
	}
}

func (m *Master) fromAgent(from local.Agent, message local.ToMaster) {
	if r, ok := message.(local.Registration); ok {
		m.register(from, r)
		return
	}
	a := m.ports[from]
	if a == nil {
		m.log.Debug("message of an unregistered agent dropped", "message", fmt.Sprintf("%T", message))
		return
	}
	switch message := message.(type) {
	case local.TaskUpdate:
		m.update(a, message)
	case local.Departure:
		m.depart(a, message.Final)
	}
}

// register takes an agent in, new or back.
func (m *Master) register(from local.Agent, r local.Registration) {
	id := r.Info.GetID().GetValue()
	_, renamed := m.gone[id]
	a, known := m.agents[id]
	if !known {
		a = m.addAgent(id)
	}
	m.timers.stop(a.timeout)
	returned := a.unreachable != nil
	fresh := !known || a.info.Hostname != r.Info.Hostname
	delete(m.ports, a.port)
	m.ports[from] = a
	a.info, a.port, a.registered, a.unreachable = r.Info, from, true, nil
	a.info.ID = &mesos.AgentID{Value: a.id}
	if fresh {
		m.save()
	}
	m.log.Info("agent registered", "host", a.info.Hostname, "agent", a.id, "tasks", len(r.Tasks))
	if renamed {
		r.Tasks = nil // of the agent that was
	}
	unknown := m.adopt(a, r.Tasks, returned)
	a.tell(local.Registered{AgentID: a.agentID(), Unknown: unknown})
	m.missing(a, r.Tasks)
	m.resend(a)
	if known {
		m.freed(a) // updates of its tasks are about to come
		return
	}
	m.allocate([]*agent{a})
}

func (m *Master) addAgent(id string) *agent {
	if _, gone := m.gone[id]; gone || id == "" {
		id = fmt.Sprintf("%s-S%d", m.info.ID, m.nextName)
		m.nextName++
	}
	a := &agent{id: id, tasks: map[local.TaskRef]*task{}, lost: map[string]map[string]*task{}}
	m.agents[id] = a
	return a
}

// adopt joins what an agent says it runs with what the master knows, and returns
// what the agent must kill.
func (m *Master) adopt(a *agent, tasks []local.Task, returned bool) (unknown []local.TaskRef) {
	for _, told := range tasks {
		ref := local.TaskRef{FrameworkID: *told.Framework.ID, TaskID: told.Task.TaskID}
		f := m.frameworks[ref.FrameworkID.Value]
		if f == nil && !m.removed[ref.FrameworkID.Value] {
			f = m.recoverFramework(told.Framework)
		}
		if f == nil || m.lostForGood(a, f, ref) {
			unknown = append(unknown, ref)
			continue
		}
		t := m.adoptTask(a, f, told)
		if returned && !local.IsTerminal(t.state) {
			m.sendStatus(f, t.masterStatus(mesos.REASON_AGENT_REREGISTERED, "Unreachable agent re-reregistered"))
		}
	}
	a.lost = map[string]map[string]*task{}
	return unknown
}

// recoverFramework takes in a framework that only an agent remembers.
func (m *Master) recoverFramework(info mesos.FrameworkInfo) *framework {
	f := m.addFramework(info)
	m.awaitFailover(f, max(f.failoverTimeout(), m.config.AgentTimeout))
	m.save()
	return f
}

// lostForGood says whether a task was given up when its agent went: that of a
// framework without checkpointing is, in the same life of the master.
func (m *Master) lostForGood(a *agent, f *framework, ref local.TaskRef) bool {
	_, lost := a.lost[f.id][ref.TaskID.Value]
	return lost && !f.info.GetCheckpoint()
}

// missing deals with tasks that an agent never got or has no trace of.
func (m *Master) missing(a *agent, told []local.Task) {
	known := map[local.TaskRef]bool{}
	for _, t := range told {
		known[local.TaskRef{FrameworkID: *t.Framework.ID, TaskID: t.Task.TaskID}] = true
	}
	for ref, t := range a.tasks {
		if known[ref] {
			continue
		}
		m.forget(t)
		if !local.IsTerminal(t.state) {
			status := t.masterStatus(mesos.REASON_RECONCILIATION, "Reconciliation: Task is unknown to the agent")
			status.State = lostState(t.framework, mesos.TASK_DROPPED).Enum()
			m.sendStatus(t.framework, status)
		}
	}
}

// depart takes an agent's offers back, and its tasks at once or after a time.
func (m *Master) depart(a *agent, final bool) {
	m.log.Warn("agent disconnected", "host", a.info.Hostname, "agent", a.id, "final", final)
	delete(m.ports, a.port)
	a.port = nil
	if final {
		m.dropAgent(a, fmt.Sprintf("Agent %s removed: the agent unregistered", a.info.Hostname))
		return
	}
	m.rescindOn(a)
	for ref, t := range a.tasks {
		m.timers.stop(t.retry)
		if !t.framework.info.GetCheckpoint() {
			m.lose(a, ref, mesos.REASON_AGENT_DISCONNECTED, fmt.Sprintf("Agent %s disconnected", a.info.Hostname))
		}
	}
	a.timeout = m.timers.after(m.config.AgentTimeout, func() { m.giveUp(a) })
}

// giveUp declares an agent unreachable.
func (m *Master) giveUp(a *agent) {
	m.log.Warn("agent unreachable", "host", a.info.Hostname, "agent", a.id)
	a.unreachable = &mesos.TimeInfo{Nanoseconds: time.Now().UnixNano()}
	for ref := range a.tasks {
		m.lose(a, ref, mesos.REASON_AGENT_REMOVED, "health check timed out")
	}
	m.fail(a)
}

// dropAgent forgets an agent that left for good; it took its tasks with it.
func (m *Master) dropAgent(a *agent, why string) {
	for ref := range a.tasks {
		m.lose(a, ref, mesos.REASON_AGENT_REMOVED, why)
	}
	m.rescindOn(a)
	delete(m.ports, a.port)
	delete(m.agents, a.id)
	m.gone[a.id] = false
	m.save()
	m.fail(a)
}

// lose moves a task out of its framework's sight and says so.
func (m *Master) lose(a *agent, ref local.TaskRef, reason mesos.TaskStatus_Reason, why string) {
	t := a.tasks[ref]
	f := t.framework
	m.forget(t)
	if a.lost[f.id] == nil {
		a.lost[f.id] = map[string]*task{}
	}
	a.lost[f.id][ref.TaskID.Value] = t
	if local.IsTerminal(t.state) {
		return // its own last update comes when the agent does
	}
	status := t.masterStatus(reason, why)
	status.State, status.ContainerStatus = mesos.TASK_LOST.Enum(), nil
	if a.unreachable != nil {
		status.State = lostState(f, mesos.TASK_UNREACHABLE).Enum()
		status.UnreachableTime = a.unreachable
	}
	m.sendStatus(f, status)
}

// fail tells every framework that an agent is gone.
func (m *Master) fail(a *agent) {
	id := a.agentID()
	for _, f := range m.sortedFrameworks() {
		f.send(&scheduler.Event{
			Type:    scheduler.Event_FAILURE,
			Failure: &scheduler.Event_Failure{AgentID: &id},
		})
	}
}

// lostState is TASK_LOST, or what a framework that knows better is told instead.
func lostState(f *framework, aware mesos.TaskState) mesos.TaskState {
	if f.can(mesos.FrameworkInfo_Capability_PARTITION_AWARE) {
		return aware
	}
	return mesos.TASK_LOST
}
