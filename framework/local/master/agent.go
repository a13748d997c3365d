package master

import (
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
)

// agent is an agent as the master knows it:
//
//	  Registration            Departure           AgentTimeout
//	──────────────▶ connected ─────────▶ disconnected ──────▶ unreachable
//	                    ▲                     │                    │
//	                    └─────────────────────┴── Registration ────┘
//
// A restarted master starts with all agents disconnected. It forgets an agent that
// departs for good.
type agent struct {
	id          string
	info        mesos.AgentInfo
	conn        local.Agent     // nil unless connected
	registered  bool            // since this master started
	inactive    bool            // an operator wants no new tasks on it
	unreachable *mesos.TimeInfo // since when; nil: it is not
	timeout     *timer          // makes the agent unreachable while it is disconnected
	tasks       map[local.TaskRef]*task
	// lost are the tasks that the master gave up when the agent disconnected, by
	// framework ID and task ID.
	lost map[string]map[string]*task
}

func (a *agent) agentID() mesos.AgentID { return mesos.AgentID{Value: a.id} }

// send sends a message if the agent is connected.
func (a *agent) send(message local.ToAgent) {
	if a.conn != nil {
		a.conn.Send(message)
	}
}
