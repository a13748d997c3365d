package api

import (
	"time"

	"tombolo/linker/record"
)

// Status is what a linker says of itself.
type Status struct {
	Version  string      `json:"version"`
	Host     record.Host `json:"host"`
	Peers    []Peer      `json:"peers"`
	Ready    bool        `json:"ready"` // the data plane matches, DNS and the plugin answer
	Problems []string    `json:"problems,omitempty"`
	Started  time.Time   `json:"started"`

	// Counters says how often what happened, since the linker started or, of packets,
	// since its policy was last written anew: "dns.refused", "overlay.forged", ...
	Counters map[string]uint64 `json:"counters,omitempty"`
}

// Peer is another linker as this one sees it.
type Peer struct {
	Name     string `json:"name"`
	Underlay string `json:"underlay"`
	State    string `json:"state"` // "alive" or "suspended"
}

// LogLine is one line of a container's output.
type LogLine struct {
	Stream string    `json:"stream"` // "stdout" or "stderr"
	Time   time.Time `json:"time,omitzero"`
	Line   string    `json:"line"`
}

// Resolution is the answer to a look-up made in somebody's view.
type Resolution struct {
	Name    string          `json:"name"`   // fully qualified, without a trailing dot
	Exists  bool            `json:"exists"` // false: NXDOMAIN
	Targets []record.Target `json:"targets"`
}

// Error is the body of every answer that is not 2xx.
type Error struct {
	Message string `json:"error"`
}
