package agent

import "time"

// Config describes one agent: the Docker Engine of one host.
type Config struct {
	Hostname   string // for offers; no two agents of a cluster may have the same
	DockerHost string // unix:///…; empty: the Engine that the docker command uses by default
	WorkDir    string // absolute; for this agent alone: its ID, checkpoints and sandboxes
	IP         string // of the host, for container statuses; empty: 127.0.0.1
	Port       int    // for offers; nothing listens on it; zero: 5051

	// CPUs and MemBytes are what the agent offers. Zero: all CPUs of the Engine's
	// host, and as much memory as an agent of Mesos would offer.
	CPUs       float64
	MemBytes   int64
	Attributes map[string]string // for offers, as text

	// RemoveDelay is how long the container and the sandbox of a task that ended by
	// itself stay after its end was acknowledged. For a killed task there is no delay:
	// its container is removed before its end is reported.
	RemoveDelay time.Duration
	// Docker takes the place of the Engine at DockerHost; agenttest has one without
	// containers. Nil: the Engine at DockerHost.
	Docker Docker
}
