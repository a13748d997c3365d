package master

import "time"

// Config describes a master. The zero values of durations mean the defaults.
type Config struct {
	// Dir keeps the master's state: framework and agent identities. It must be
	// private to one running cluster.
	Dir string
	// MasterAddr is the host:port at which others reach Handler; it is what
	// offers and SUBSCRIBED name as the master's address. Empty: 127.0.0.1:5050.
	MasterAddr string
	// heartbeatInterval is the pause between HEARTBEAT events (15 s).
	heartbeatInterval time.Duration
	// AgentTimeout is how long an agent may be disconnected before its tasks are
	// declared lost or unreachable (75 s).
	AgentTimeout time.Duration
	// allocationInterval is how long resources that came back wait for others to
	// go out in one OFFERS event (100 ms; a real master's is 1 s).
	allocationInterval time.Duration
	// offerTimeout is how long a framework may sit on an offer (0: for ever).
	offerTimeout time.Duration
	// Credentials are principal -> secret for HTTP basic authentication; empty:
	// everybody may come, so let nobody else reach Handler.
	Credentials map[string]string
}

func (c Config) withDefaults() Config {
	if c.MasterAddr == "" {
		c.MasterAddr = defaultMasterAddr
	}
	if c.heartbeatInterval == 0 {
		c.heartbeatInterval = defaultHeartbeat
	}
	if c.AgentTimeout == 0 {
		c.AgentTimeout = defaultAgentTimeout
	}
	if c.allocationInterval == 0 {
		c.allocationInterval = defaultAllocation
	}
	return c
}
