package frameworktest

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// master is the Mesos master. Cluster.mu guards it.
type master struct {
	c          *Cluster
	offers     map[string]*offer
	session    *session        // nil: no framework is subscribed
	framework  string          // the ID of the last one
	removed    map[string]bool // framework IDs
	frameworks int             // IDs given
	suppressed bool
	down       bool

	subscriptions uint64
	failing       time.Time // calls fail until then
	refusing      bool      // an ACCEPT is answered with 400

	held    time.Duration // all offers that are over were held for so long, added up
	longest time.Duration // the one of them that was held longest
}

// send queues an event for the present subscription, if there is one.
func (m *master) send(e scheduler.Event) {
	if m.session != nil && !m.down {
		m.session.events.Put(sessionEvent{event: e})
	}
}

// fullName returns the name with which the agent of a host offers. Linkers use host.
func fullName(host string) string { return strings.ToUpper(host) + ".example.com" }

// forward sends an update of an agent, which takes a while.
func (m *master) forward(e scheduler.Event, name string) {
	if slow := m.c.within(m.c.options.Slow, "slow "+name); slow > 0 {
		m.c.after(slow, func() { m.send(e) })
		return
	}
	m.send(e)
}

func (m *master) leave(s *session) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if m.session == s {
		m.session = nil
		m.voidOffers()
	}
}

func (m *master) take(call *scheduler.Call) {
	switch call.Type {
	case scheduler.Call_ACCEPT:
		m.accept(call.Accept)
	case scheduler.Call_DECLINE:
		m.refuse(call.Decline.OfferIDs, call.Decline.Filters)
	case scheduler.Call_REVIVE:
		m.revive()
	case scheduler.Call_SUPPRESS:
		m.suppressed = true
	case scheduler.Call_KILL:
		m.kill(call.Kill.TaskID.Value, call.Kill.AgentID.GetValue())
	case scheduler.Call_ACKNOWLEDGE:
		m.acknowledge(call.Acknowledge)
	case scheduler.Call_RECONCILE:
		m.reconcile(call.Reconcile.Tasks)
	}
}

func (m *master) revive() {
	m.suppressed = false
	for _, h := range m.c.hosts {
		h.filtered = time.Time{}
	}
	m.offer()
}

func (m *master) kill(id, agent string) {
	for _, h := range m.c.hosts {
		t := h.tasks[id]
		if t == nil || terminal(t.state) {
			continue
		}
		if !h.joined {
			return
		}
		if m.c.chance(m.c.options.Gaps, "lose KILL "+id) {
			return
		}
		if m.c.options.Killing && t.state != mesos.TASK_KILLING {
			t.setState(mesos.TASK_KILLING, "")
		}
		m.c.after(t.behaviour.Stop, func() { t.end(mesos.TASK_KILLED, "Container exited with status 137") })
		return
	}
	state := mesos.TASK_UNKNOWN
	if h := m.byAgent(agent); h != nil && h.lost {
		state = mesos.TASK_UNREACHABLE
	}
	m.tell(id, agent, state, mesos.REASON_RECONCILIATION)
}

func (m *master) acknowledge(a *scheduler.Call_Acknowledge) {
	h := m.byAgent(a.AgentID.Value)
	if h == nil || h.tasks[a.TaskID.Value] == nil {
		return
	}
	t := h.tasks[a.TaskID.Value]
	if len(t.pending) == 0 || !bytes.Equal(t.pending[0].UUID, a.UUID) {
		return
	}
	t.pending = t.pending[1:]
	if len(t.pending) == 0 && terminal(t.state) {
		delete(h.tasks, a.TaskID.Value)
		m.offer()
		return
	}
	t.push()
}

// reconcile answers as a master does: not for tasks whose agent has not come back yet.
func (m *master) reconcile(asked []scheduler.Call_Reconcile_Task) {
	if len(asked) == 0 {
		for _, h := range m.c.sorted() {
			for _, id := range slices.Sorted(maps.Keys(h.tasks)) {
				if h.joined {
					m.tell(id, h.agent, h.tasks[id].state, mesos.REASON_RECONCILIATION)
				}
			}
		}
		return
	}
	for _, a := range asked {
		id, agent, state := a.TaskID.Value, a.AgentID.GetValue(), mesos.TASK_UNKNOWN
		h := m.byAgent(agent)
		switch {
		case h == nil:
			agent = ""
		case h.lost:
			state = mesos.TASK_UNREACHABLE
		case !h.joined:
			continue
		case h.tasks[id] != nil:
			state = h.tasks[id].state
		default:
			state = mesos.TASK_GONE // the agent is registered, and does not know the task
		}
		m.tell(id, agent, state, mesos.REASON_RECONCILIATION)
	}
}

func (m *master) byAgent(agent string) *host {
	for _, h := range m.c.hosts {
		if h.agent == agent {
			return h
		}
	}
	return nil
}

// tell sends an update of the master itself, which needs no acknowledgement.
func (m *master) tell(id, agent string, state mesos.TaskState, reason mesos.TaskStatus_Reason) {
	status := mesos.TaskStatus{TaskID: mesos.TaskID{Value: id}, State: &state, Reason: &reason}
	if agent != "" {
		status.AgentID = &mesos.AgentID{Value: agent}
	}
	m.send(scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: status}})
}
