package frameworktest

import (
	"bytes"
	"fmt"
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
}

type offer struct {
	host   *host
	cpus   float64
	memory float64
}

// send queues an event for the present subscription, if there is one.
func (m *master) send(e scheduler.Event) {
	if m.session != nil && !m.down {
		m.session.events.Put(sessionEvent{event: e})
	}
}

// offer offers all resources that are free, not offered and not filtered.
func (m *master) offer() {
	if m.session == nil || m.suppressed || m.down {
		return
	}
	var list []mesos.Offer
	for _, h := range m.c.sorted() {
		cpus, memory := h.free()
		if !h.joined || m.offered(h) || time.Now().Before(h.filtered) || cpus < 0.01 || memory < 32 {
			continue
		}
		id := fmt.Sprintf("O%d", m.c.next())
		m.offers[id] = &offer{h, cpus, memory}
		list = append(list, mesos.Offer{
			ID: mesos.OfferID{Value: id}, AgentID: mesos.AgentID{Value: h.agent}, Hostname: fullName(h.name),
			FrameworkID: mesos.FrameworkID{Value: m.framework}, Resources: resources(cpus, memory),
		})
	}
	if len(list) > 0 {
		m.send(scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: list}})
	}
}

// fullName returns the name with which the agent of a host offers. Linkers use host.
func fullName(host string) string { return strings.ToUpper(host) + ".example.com" }

func (m *master) offered(h *host) bool {
	for _, o := range m.offers {
		if o.host == h {
			return true
		}
	}
	return false
}

func (m *master) leave(s *session) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if m.session == s {
		m.session = nil
		clear(m.offers)
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

func (m *master) refuse(ids []mesos.OfferID, filters *mesos.Filters) {
	d := 5 * time.Second
	if filters != nil && filters.RefuseSeconds != nil {
		d = time.Duration(*filters.RefuseSeconds * float64(time.Second))
	}
	for _, id := range ids {
		if o := m.offers[id.Value]; o != nil {
			o.host.filtered = time.Now().Add(d)
			delete(m.offers, id.Value)
		}
	}
	m.c.after(d, m.offer)
}

func (m *master) accept(a *scheduler.Call_Accept) {
	var h *host
	valid := true
	for _, id := range a.OfferIDs {
		o := m.offers[id.Value]
		if o == nil {
			valid = false
			continue
		}
		h = o.host
	}
	for _, op := range a.Operations {
		for _, info := range op.Launch.TaskInfos {
			m.launch(info, h, valid)
		}
	}
	m.refuse(a.OfferIDs, a.Filters)
}

func (m *master) launch(info mesos.TaskInfo, h *host, valid bool) {
	id := info.TaskID.Value
	m.c.check(info)
	if !valid || !h.joined {
		m.tell(id, info.AgentID.Value, mesos.TASK_DROPPED, mesos.REASON_INVALID_OFFERS)
		return
	}
	if slices.Contains(m.c.launches, id) {
		m.c.violate("task ID %s is used again", id)
	}
	m.c.launches = append(m.c.launches, id)
	cpus, memory := h.free()
	if used, bytes := needs(info); used > cpus+1e-9 || bytes > memory+1e-9 {
		m.c.violate("%s does not fit on %s", id, h.name)
	}
	t := &task{c: m.c, info: info, host: h, state: mesos.TASK_STAGING, behaviour: m.c.options.Behave(info)}
	t.container = fmt.Sprintf("c%d", m.c.next())
	h.tasks[id] = t
	t.run()
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
			for id, t := range h.tasks {
				if h.joined {
					m.tell(id, h.agent, t.state, mesos.REASON_RECONCILIATION)
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
