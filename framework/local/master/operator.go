package master

import (
	"net/http"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	operator "github.com/mesos/mesos-go/api/v1/lib/master"

	"tombolo/framework/local"
	"tombolo/framework/mesos/wire"
)

// serveOperator is the little of the operator API that takes an agent out of
// service and back: MARK_AGENT_GONE, DEACTIVATE_AGENT, REACTIVATE_AGENT.
func (m *Master) serveOperator(w http.ResponseWriter, r *http.Request) {
	if _, ok := m.authenticate(r); !ok {
		unauthorized(w, "mesos-master-readwrite")
		return
	}
	body, refusal := readBody(r)
	if refusal != nil {
		refuseCall(w, *refusal)
		return
	}
	call := new(operator.Call)
	if refusal := jsonRefusal(wire.Unmarshal(body, call)); refusal != nil {
		reply(w, *refusal)
		return
	}
	a, err := ask(r.Context(), m, func() answer { return m.operate(call) })
	if err != nil {
		a = answer{status: http.StatusServiceUnavailable, text: err.Error()}
	}
	reply(w, a)
}

func (m *Master) operate(c *operator.Call) answer {
	switch {
	case c.Type == operator.Call_MARK_AGENT_GONE && c.MarkAgentGone != nil:
		return m.onAgent(c.MarkAgentGone.AgentID.Value, m.markGone)
	case c.Type == operator.Call_DEACTIVATE_AGENT && c.DeactivateAgent != nil:
		return m.onAgent(c.DeactivateAgent.AgentID.Value, func(a *agent) {
			a.inactive = true
			m.rescindOn(a)
		})
	case c.Type == operator.Call_REACTIVATE_AGENT && c.ReactivateAgent != nil:
		return m.onAgent(c.ReactivateAgent.AgentID.Value, func(a *agent) {
			a.inactive = false
			m.freed(a)
		})
	}
	return answer{status: http.StatusNotImplemented, text: "Not implemented: " + c.Type.String()}
}

func (m *Master) onAgent(id string, do func(*agent)) answer {
	a := m.agents[id]
	if a == nil {
		return answer{status: http.StatusNotFound, text: "Agent not found"}
	}
	do(a)
	m.save()
	return answer{status: http.StatusOK}
}

// markGone gives an agent up for ever: its tasks are gone, and should it come
// back it must kill them and begin as another.
func (m *Master) markGone(a *agent) {
	frameworks := map[string]bool{}
	for ref, t := range a.tasks {
		frameworks[ref.FrameworkID.Value] = true
		reason := mesos.REASON_AGENT_REMOVED
		if t.framework.can(mesos.FrameworkInfo_Capability_PARTITION_AWARE) {
			reason = mesos.REASON_AGENT_REMOVED_BY_OPERATOR
		}
		status := t.masterStatus(reason, "Agent has been marked gone")
		status.State = lostState(t.framework, mesos.TASK_GONE_BY_OPERATOR).Enum()
		status.ContainerStatus = nil
		m.forget(t)
		m.sendStatus(t.framework, status)
	}
	for id := range frameworks {
		a.tell(local.Shutdown{FrameworkID: mesos.FrameworkID{Value: id}})
	}
	m.dropAgent(a, "marked gone")
	m.gone[a.id] = true
}
