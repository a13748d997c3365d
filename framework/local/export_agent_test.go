package local

// The agent as tests outside the package see it: localtest imports this package.
type (
	AgentPort     = agentPort
	MasterMessage = masterMessage
	AgentMessage  = agentMessage
)

var NewAgent = newAgent
