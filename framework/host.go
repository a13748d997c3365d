package framework

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"time"

	"tombolo/framework/offers"
	"tombolo/framework/place"
)

// host is a host that has offered resources or that a linker has shown.
type host struct {
	name       string
	agent      string                     // the ID of its agent; "": none has offered in this subscription
	attributes map[string]place.Attribute // of the agent
	reserves   bool                       // its last offer had resources that are reserved for a role
	drops      int                        // launches in a row that its agent has refused
	dropped    string                     // why it refused the last one
	rests      time.Time                  // no task is launched on it before; zero: any may be

	// The rest of the last offers, for decisions while no offer is held.
	cpus   float64
	memory int64
}

func (h *host) use(r reserved) {
	h.cpus, h.memory = thousandths(h.cpus-r.cpus), h.memory-r.memory
}

// thousandths rounds CPUs to the unit in which Mesos counts.
func thousandths(cpus float64) float64 { return math.Round(cpus*1000) / 1000 }

// host returns a host. If it is new, the model adds it.
func (m *model) host(name string) *host {
	h := m.hosts[name]
	if h == nil {
		h = &host{name: name}
		m.hosts[name] = h
		m.dirty.allHosts = true
	}
	return h
}

// forgetHosts forgets the hosts that have no agent and that linkers do not know any more.
func (m *model) forgetHosts(known func(name string) bool) {
	m.dirty.allHosts = true
	maps.DeleteFunc(m.hosts, func(name string, h *host) bool { return h.agent == "" && !known(name) })
}

// hostOffered notes an offer. free are the resources of all offers that are held of the agent.
func (m *model) hostOffered(o *offers.Offer, free offers.Free) {
	h := m.host(o.Host)
	m.dirty.market = true
	m.touchHost(o.Host)
	if h.agent != o.Agent || !reflect.DeepEqual(h.attributes, o.Attributes) {
		m.touchAll()
		m.dirty.agents = true
	}
	h.agent, h.attributes, h.reserves = o.Agent, o.Attributes, o.Reserved
	h.cpus, h.memory = thousandths(free.CPUs), free.MemBytes
}

// After restAfter launches in a row that its agent has refused, a host rests.
const (
	restAfter = 3
	restFirst = 30 * time.Second // doubles with every further refusal
	restMax   = 10 * time.Minute
)

// hostDropped notes that a host's agent has refused a launch. It reports whether the host
// rests.
func (m *model) hostDropped(name, reason string, now time.Time) bool {
	h := m.host(name)
	m.touchHost(name)
	h.drops++
	h.dropped = reason
	if h.drops < restAfter {
		return false
	}
	h.rests = now.Add(min(restFirst<<min(h.drops-restAfter, 10), restMax))
	return true
}

// agentRuns notes that a host's agent runs a task again.
func (m *model) agentRuns(name string) {
	if h := m.host(name); h.drops > 0 {
		h.drops = 0
		m.touchHost(name)
	}
}

// problem says why a host rests; "" if it does not.
func (h *host) problem(now time.Time) string {
	if !now.Before(h.rests) {
		return ""
	}
	return fmt.Sprintf("rests until %s: its agent has refused %d launches in a row: %s", h.rests.Format(time.TimeOnly), h.drops, h.dropped)
}

// agentLost notes that an agent is gone. It returns the names of its hosts.
func (m *model) agentLost(agent string) (names []string) {
	m.touchAll()
	for _, h := range m.hosts {
		if h.agent == agent {
			h.agent = ""
			names = append(names, h.name)
		}
	}
	return names
}
