package master

import (
	"cmp"
	"time"
)

// Config describes a master.
type Config struct {
	// Dir keeps the IDs of frameworks and agents. Only one running master may use
	// it. Empty: they are forgotten when the master stops.
	Dir string
	// MasterAddr is the host:port at which others reach Handler. SUBSCRIBED and
	// /redirect name it. Empty: 127.0.0.1:5050.
	MasterAddr string
	// AgentTimeout is how long an agent may be disconnected before the master
	// declares its tasks lost or unreachable. Zero: 75 s.
	AgentTimeout time.Duration
	// Credentials are the secrets of HTTP basic authentication by principal. Empty:
	// the master serves everybody, so let nobody else reach Handler.
	Credentials map[string]string

	// The rest is for tests.

	// allocationInterval is how long returned resources wait for others, so that
	// they go out in one OFFERS event. Zero: 100 ms; Apache Mesos has 1 s.
	allocationInterval time.Duration
	// offerTimeout is how long a framework may hold an offer. Zero: for ever.
	offerTimeout time.Duration
}

func (c Config) withDefaults() Config {
	c.MasterAddr = cmp.Or(c.MasterAddr, "127.0.0.1:5050")
	c.AgentTimeout = cmp.Or(c.AgentTimeout, 75*time.Second)
	c.allocationInterval = cmp.Or(c.allocationInterval, 100*time.Millisecond)
	return c
}
