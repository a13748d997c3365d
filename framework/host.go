package framework

import "math"

// host is a host that has offered resources or that a linker has shown.
type host struct {
	name       string
	agent      string            // the ID of its agent; "": none has offered in this subscription
	attributes map[string]string // of the agent
	reserves   bool              // its last offer had resources that are reserved for a role

	// The last offers, less what was used of them: for decisions while no offer is held.
	cpus   float64
	memory int64
}

func (h *host) use(r reserved) {
	h.cpus, h.memory = thousandths(h.cpus-r.cpus), h.memory-r.memory
}

// thousandths rounds CPUs to the unit in which Mesos counts.
func thousandths(cpus float64) float64 { return math.Round(cpus*1000) / 1000 }
