package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"tombolo/framework/app"
)

// State is the state of an instance.
type State string

// The states of an instance. A healthy one passes the first five in this order.
const (
	StateWaiting   State = "waiting" // for an offer, a dependency, a back-off or a volume's host: see Reason
	StateStaging   State = "staging" // launched; the agent pulls the image and starts the container
	StateRunning   State = "running" // the container runs; its health check has not passed yet
	StateHealthy   State = "healthy" // healthy, but not every linker tells containers its address yet
	StateUp        State = "up"      // healthy and resolvable
	StateUnhealthy State = "unhealthy"
	StateStopping  State = "stopping" // the framework has asked for its end
	StateFailed    State = "failed"   // it ended badly (see Reason, ExitCode, Log); it may start again
	StateDone      State = "done"     // it ended well, and its restart policy does not start it again
	StateLost      State = "lost"     // its host is unreachable
)

// Instance is one slot of a service and its current task, as `tombolo ps` shows them.
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
	Address    string     `json:"address,omitempty"` // its IPv4 address on the overlay
	Ports      []app.Port `json:"ports,omitempty"`   // of the host that lead to it
	Health     string     `json:"health,omitempty"`
	Since      time.Time  `json:"since"`              // of the state
	Started    time.Time  `json:"started,omitzero"`   // of the container
	Restarts   int        `json:"restarts,omitempty"` // tasks that have ended in this slot
	ExitCode   int        `json:"exit_code,omitempty"`
	Log        []string   `json:"log,omitempty"` // last lines of the last task that failed
}

// Status is the state of an app and its instances.
type Status struct {
	App       string     `json:"app"`
	Revision  uint64     `json:"revision"`
	Removing  bool       `json:"removing,omitempty"` // the app is being ended
	Up        bool       `json:"up"`                 // every instance is up or done, and none is outdated
	Failed    string     `json:"failed,omitempty"`   // why the app cannot come up without a change
	Warnings  []string   `json:"warnings,omitempty"` // likely mistakes that do not keep the app from coming up
	Troubles  []string   `json:"troubles,omitempty"` // hosts of instances whose linkers are not ready, with the reasons
	Instances []Instance `json:"instances"`
}

// Info describes the framework and its cluster.
type Info struct {
	Version   string    `json:"version"`
	Framework string    `json:"framework"` // the Mesos framework ID
	Master    string    `json:"master"`    // as configured, or the leader's address
	Connected bool      `json:"connected"` // the framework is subscribed to a master
	Zone      string    `json:"zone"`
	Registry  *Registry `json:"registry,omitempty"` // nil: the hosts' Engines must find images elsewhere
	Hosts     []Host    `json:"hosts"`
}

// Registry is an image registry that the cluster pulls from.
type Registry struct {
	Push string `json:"push"` // host:port as this machine reaches it
	Pull string `json:"pull"` // host:port as the hosts reach it
}

// Host is a host of the cluster.
type Host struct {
	Name     string  `json:"name"`
	Agent    string  `json:"agent,omitempty"` // Mesos agent ID; "": no offer in this subscription
	Underlay string  `json:"underlay,omitempty"`
	Overlay  string  `json:"overlay,omitempty"`
	Linker   string  `json:"linker"`         // "up", "down" or "unknown"
	CPUs     float64 `json:"cpus,omitempty"` // last offered
	MemBytes int64   `json:"mem_bytes,omitempty"`
	Tasks    int     `json:"tasks"`
	Problem  string  `json:"problem,omitempty"` // why it gets no tasks now, although it offers
}

// LogLine is one line of an instance's output.
type LogLine struct {
	Service string    `json:"service"`
	Slot    int       `json:"slot"`
	Host    string    `json:"host"`
	Stream  string    `json:"stream"` // "stdout", "stderr" or StreamNotice
	Time    time.Time `json:"time,omitzero"`
	Line    string    `json:"line"`
}

// StreamNotice is the stream of lines that an instance did not print: they say why there is no output
// of it.
const StreamNotice = "notice"

// Error is the body of every response whose status is not 2xx.
type Error struct {
	Message string `json:"error"`
}

// The errors that a Cluster wraps to say what went wrong. Each has its HTTP status, and the
// client returns it again.
var (
	ErrNotFound    = errors.New("not found")   // there is no such app
	ErrConflict    = errors.New("conflict")    // the app cannot be put now
	ErrInvalid     = errors.New("invalid")     // the request or the App has an error
	ErrUnavailable = errors.New("unavailable") // the framework does not answer; try again
)

var statuses = map[error]int{
	ErrNotFound: http.StatusNotFound, ErrConflict: http.StatusConflict,
	ErrInvalid: http.StatusBadRequest, ErrUnavailable: http.StatusServiceUnavailable,
}

// Cluster runs apps. Any goroutine may call its methods.
type Cluster interface {
	// PutApp makes the cluster run the app and returns its revision. The same App again
	// keeps its revision.
	PutApp(ctx context.Context, wanted app.App) (revision uint64, err error)
	// DeleteApp begins to end the app. With volumes it also forgets, at the end, which
	// hosts hold the app's volumes; the caller removes the volumes themselves.
	DeleteApp(ctx context.Context, name string, volumes bool) error
	// Snapshot returns the present state, and a channel that the next change closes. The
	// state is nil until everything that is stored is loaded.
	Snapshot() (*Snapshot, <-chan struct{})
}

// Volumes keeps services from starting with empty volumes in place of lost ones.
type Volumes interface {
	// RecreateVolumes permits once that those volumes of an app that are gone from their
	// hosts are made anew.
	RecreateVolumes(ctx context.Context, app string) error
}

// Logs shows the output of instances.
type Logs interface {
	// Logs calls fn with each line until the output ends, ctx ends or fn returns an
	// error.
	Logs(ctx context.Context, app string, query LogQuery, fn func(LogLine) error) error
}

// LogQuery selects output. The zero LogQuery selects all output so far.
type LogQuery struct {
	Service string // "": every service
	Slot    int    // 0: every instance
	Follow  bool   // wait for more output, also of instances that start later
	Tail    int    // at most so many earlier lines of each instance; 0: all, negative: none
}

// revision is the response to a PUT.
type revision struct {
	Revision uint64 `json:"revision"`
}
