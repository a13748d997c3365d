package agent

import "time"

// Config describes one agent: one host's Docker Engine.
type Config struct {
	Hostname   string // unique in the cluster, what offers carry
	DockerHost string // unix:///… ; empty: the Engine's default
	WorkDir    string // the agent's own: identity, checkpoints, sandboxes
	IP         string // of the host, for offers' URLs and container statuses
	Port       int    // 5051 when zero; nothing listens on it

	// What is offered. Zero CPUs or MemBytes: what `docker info` says.
	CPUs       float64
	MemBytes   int64
	Attributes map[string]string

	// RemoveDelay is how long the container and the sandbox of a task that ended
	// by itself outlive the acknowledgement of its end; until that they are there.
	// Those of a killed task go before its end is reported.
	RemoveDelay time.Duration
	// Docker overrides the Docker at DockerHost (see agenttest).
	Docker Docker
}
