package store

import (
	"time"

	"tombolo/framework/app"
)

// App is an app that is or was wanted.
type App struct {
	Wanted        app.App   `json:"app"`
	Revision      uint64    `json:"revision"`
	Put           time.Time `json:"put"`
	Removing      bool      `json:"removing,omitempty"`
	ForgetVolumes bool      `json:"volumes,omitempty"`
}

// Slot is the history of one instance.
type Slot struct {
	App        string    `json:"app"`
	Service    string    `json:"service"`
	Slot       int       `json:"slot"`
	Generation uint64    `json:"generation"` // of the last task launched
	Host       string    `json:"host,omitempty"`
	Restarts   int       `json:"restarts,omitempty"` // tasks that have ended
	Failures   int       `json:"failures,omitempty"` // the last of them that ended soon or badly, in a row
	Ended      time.Time `json:"ended,omitzero"`     // the last task's end
	Spec       string    `json:"spec,omitempty"`     // what the last ended task ran
	Outcome    string    `json:"outcome,omitempty"`  // a deploy.Phase by name
	ExitCode   int       `json:"exit_code,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Fatal      bool      `json:"fatal,omitempty"` // trying again cannot help by itself
	Log        []string  `json:"log,omitempty"`
}

// Task is a task that was launched and, as far as is known, has not ended.
type Task struct {
	ID             string     `json:"id"`
	App            string     `json:"app"`
	Service        string     `json:"service"`
	Slot           int        `json:"slot"`
	Generation     uint64     `json:"generation"`
	Spec           string     `json:"spec"` // digest of what it runs
	Agent          string     `json:"agent"`
	Host           string     `json:"host"`
	Ports          []app.Port `json:"ports,omitempty"` // published
	Volumes        []string   `json:"volumes,omitempty"`
	Phase          string     `json:"phase"`
	Reason         string     `json:"reason,omitempty"`
	Container      string     `json:"container,omitempty"` // "mesos-" + Mesos' ContainerID
	Since          time.Time  `json:"since"`               // of Phase
	Started        time.Time  `json:"started,omitzero"`
	Killing        bool       `json:"killing,omitempty"` // we want its end
	UnhealthySince time.Time  `json:"sick,omitzero"`
}

// State is all that is stored.
type State struct {
	FrameworkID string
	Epoch       uint64            // of the app records last written
	Revision    uint64            // the last that any app was given
	Floors      map[string]uint64 // by app: the highest generation of a forgotten slot
	Apps        map[string]App
	Tasks       map[string]Task
	Slots       map[SlotKey]Slot
	Pins        map[string]string // volume name -> host
}

// SlotKey names a slot.
type SlotKey struct {
	App, Service string
	Slot         int
}

// Key is the slot's name.
func (s Slot) Key() SlotKey { return SlotKey{s.App, s.Service, s.Slot} }
