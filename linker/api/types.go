package api

import (
	"net/netip"
	"time"

	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// Status describes a linker and its host.
type Status struct {
	Version  string            `json:"version"`
	Host     record.Host       `json:"host"`
	Peers    []Peer            `json:"peers"`
	Ready    bool              `json:"ready"`              // the kernel has matched, the Docker network exists, and no problem is an outage
	Problems []problem.Problem `json:"problems,omitempty"` // the worst first
	Started  time.Time         `json:"started"`

	// Counters counts events that are not logged one by one, since the linker started:
	// "dns.refused", "overlay.forged" and so on.
	Counters map[string]uint64 `json:"counters,omitempty"`
}

// Peer is another linker as this one sees it.
type Peer struct {
	ID       string `json:"id"` // record.Host.Key
	Name     string `json:"name"`
	Underlay string `json:"underlay"`
	State    string `json:"state"` // "alive" or "suspended"
}

// The states of a host.
const (
	HostAlive     = "alive"
	HostSuspended = "suspended" // it does not answer: no name leads to its containers, but its block is its own
	HostLeft      = "left"      // it was forgotten: nothing is left of it but the rule that its records are void
)

// HostState is a host as this linker sees it. A host that has left has no more than an ID, a
// name and a state.
type HostState struct {
	ID       string       `json:"id"` // record.Host.Key
	Name     string       `json:"name"`
	Underlay netip.Addr   `json:"underlay,omitzero"`
	Block4   netip.Prefix `json:"block4,omitzero"` // unset: it has none yet
	State    string       `json:"state"`
	Since    time.Time    `json:"since,omitzero"` // when this linker saw the state first, since it started
	Version  string       `json:"version,omitempty"`
}

// LogOptions select lines of a container's output.
type LogOptions struct {
	Follow bool // continue with new lines until the container ends
	Tail   int  // number of lines from the end; 0: all
}

// LogLine is one line of a container's output.
type LogLine struct {
	Stream string    `json:"stream"` // "stdout" or "stderr"
	Time   time.Time `json:"time,omitzero"`
	Line   string    `json:"line"`
}

// Container is what the Engine of the linker's host says about one container.
type Container struct {
	Status   string       `json:"status"`   // in Docker's words: running, paused, exited, ...
	Attached bool         `json:"attached"` // it is on the overlay's network
	Failed   *HealthCheck `json:"failed,omitempty"`
}

// HealthCheck is the last run of a health check, if it failed.
type HealthCheck struct {
	Exit   int    `json:"exit"`             // its exit status; -1: it took too long
	Output string `json:"output,omitempty"` // what it printed: at most MaxOutput bytes of printable text, without line ends
}

// MaxOutput bounds the output of a HealthCheck, in bytes. Of longer output the end is kept.
const MaxOutput = 500

// Volume says whether the Engine has a volume.
type Volume struct {
	Exists bool `json:"exists"`
}

// EngineVersion is the version of the Engine.
type EngineVersion struct {
	API string `json:"api"` // the newest version of its API, such as 1.41
}

// Resolution is the answer to a look-up of a name in one asker's view.
type Resolution struct {
	Name    string          `json:"name"`   // fully qualified, without a trailing dot
	Exists  bool            `json:"exists"` // false: NXDOMAIN
	Targets []record.Target `json:"targets"`

	// Instances answer at a service's address in Targets now. There are none if the name
	// leads to instances or to a host.
	Instances []record.Target `json:"instances,omitempty"`
	Service   bool            `json:"service,omitempty"` // Targets has a service's address
}

// Error is the body of every answer that reports an error.
type Error struct {
	Message string `json:"error"`
}
