package local

import mesos "github.com/mesos/mesos-go/api/v1/lib"

// The agent as tests outside the package see it: localtest imports this package.
type (
	AgentPort     = agentPort
	MasterMessage = masterMessage
	AgentMessage  = agentMessage
)

var NewAgent = newAgent

func frameworkID(s string) *mesos.FrameworkID { return &mesos.FrameworkID{Value: s} }
