package api

import (
	"time"

	"tombolo/framework/app"
)

// State is where an instance stands.
type State string

// The states of an instance, in the order in which a healthy one passes them.
const (
	StateWaiting   State = "waiting" // Reason says for what: an offer, a dependency, a back-off, a volume's host
	StateStaging   State = "staging" // accepted by the master; image pull and start under way
	StateRunning   State = "running" // the container runs, its health check has not passed yet
	StateHealthy   State = "healthy" // healthy, not yet resolvable on every host of its dependents
	StateUp        State = "up"      // healthy and resolvable
	StateUnhealthy State = "unhealthy"
	StateStopping  State = "stopping" // a kill is under way
	StateFailed    State = "failed"   // ended badly; Reason, ExitCode and Log say how; it may be retried
	StateDone      State = "done"     // ended well, and its restart policy wants no more
	StateLost      State = "lost"     // its host is unreachable
)

// Instance is one slot of a service as `tombolo ps` shows it.
type Instance struct {
	App        string     `json:"app"`
	Service    string     `json:"service"`
	Slot       int        `json:"slot"`
	Generation uint64     `json:"generation"`
	Task       string     `json:"task,omitempty"`
	State      State      `json:"state"`
	Reason     string     `json:"reason,omitempty"`
	Host       string     `json:"host,omitempty"`
	Container  string     `json:"container,omitempty"`
	Address    string     `json:"address,omitempty"` // overlay IPv4 address
	Ports      []app.Port `json:"ports,omitempty"`   // of the host, that lead to it
	Health     string     `json:"health,omitempty"`
	Since      time.Time  `json:"since"`              // of the state
	Started    time.Time  `json:"started,omitzero"`   // of the container
	Restarts   int        `json:"restarts,omitempty"` // tasks that have ended in this slot
	ExitCode   int        `json:"exit_code,omitempty"`
	Log        []string   `json:"log,omitempty"` // last lines of the last task that failed
}

// Status is an app and its instances.
type Status struct {
	App       string     `json:"app"`
	Revision  uint64     `json:"revision"`
	Removing  bool       `json:"removing,omitempty"` // `down` is under way
	Up        bool       `json:"up"`                 // every instance is up or done
	Failed    string     `json:"failed,omitempty"`   // why the app cannot come up without a change
	Warnings  []string   `json:"warnings,omitempty"` // what keeps nothing from coming up, and is hardly meant
	Instances []Instance `json:"instances"`
}

// Info describes the framework and its cluster.
type Info struct {
	Version   string    `json:"version"`
	Framework string    `json:"framework"` // the Mesos framework ID
	Master    string    `json:"master"`    // as configured, else the leader's address
	Connected bool      `json:"connected"` // subscribed now
	Zone      string    `json:"zone"`
	Registry  *Registry `json:"registry,omitempty"` // nil: images must be where the hosts' Engines find them
	Hosts     []Host    `json:"hosts"`
}

// Registry is an image registry that the cluster pulls from.
type Registry struct {
	Push string `json:"push"` // host:port as this machine reaches it
	Pull string `json:"pull"` // host:port as the hosts reach it
}

// Host is an agent as the framework knows it.
type Host struct {
	Name     string  `json:"name"`
	Agent    string  `json:"agent,omitempty"` // Mesos agent ID of the last offer or task
	Underlay string  `json:"underlay,omitempty"`
	Overlay  string  `json:"overlay,omitempty"`
	Linker   string  `json:"linker"`         // "up", "down" or "unknown"
	CPUs     float64 `json:"cpus,omitempty"` // last offered
	MemBytes int64   `json:"mem_bytes,omitempty"`
	Tasks    int     `json:"tasks"`
}

// LogLine is one line of an instance's output.
type LogLine struct {
	Service string    `json:"service"`
	Slot    int       `json:"slot"`
	Host    string    `json:"host"`
	Stream  string    `json:"stream"` // "stdout" or "stderr"
	Time    time.Time `json:"time,omitzero"`
	Line    string    `json:"line"`
}

// Error is the body of every answer that is not 2xx.
type Error struct {
	Message string `json:"error"`
}
