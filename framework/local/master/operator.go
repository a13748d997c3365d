package master

import (
	"net/http"

	operator "github.com/mesos/mesos-go/api/v1/lib/master"
)

// operate handles a call of the operator API.
func (m *Master) operate(c *operator.Call) answer {
	switch {
	case c.Type == operator.Call_MARK_AGENT_GONE && c.MarkAgentGone != nil:
		return m.onAgent(c.MarkAgentGone.AgentID.Value, m.membership.markGone)
	case c.Type == operator.Call_DEACTIVATE_AGENT && c.DeactivateAgent != nil:
		return m.onAgent(c.DeactivateAgent.AgentID.Value, func(a *agent) {
			a.inactive = true
			m.offers.rescindAll(a)
		})
	case c.Type == operator.Call_REACTIVATE_AGENT && c.ReactivateAgent != nil:
		return m.onAgent(c.ReactivateAgent.AgentID.Value, func(a *agent) {
			a.inactive = false
			m.offers.offerSoon(a)
		})
	}
	return answer{status: http.StatusNotImplemented, text: "Not implemented: " + c.Type.String()}
}

func (m *Master) onAgent(id string, do func(*agent)) answer {
	a := m.registry.agents[id]
	if a == nil {
		return answer{status: http.StatusNotFound, text: "Agent not found"}
	}
	do(a)
	m.registry.save()
	return answer{status: http.StatusOK}
}
