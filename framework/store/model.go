package store

import (
	"time"

	"tombolo/framework/app"
)

// App is an app that is wanted or being removed. JSON names in this file are the format of
// stored data and must not change.
type App struct {
	Wanted        app.App   `json:"app"`
	Revision      uint64    `json:"revision"` // of its last change, counted over all apps
	Put           time.Time `json:"put"`
	Removing      bool      `json:"removing,omitempty"`
	ForgetVolumes bool      `json:"volumes,omitempty"` // forget the hosts of its volumes once it is removed
}

// Slot is the history of one instance. Its zero fields from Ended on mean that no task of
// the slot has ended yet.
type Slot struct {
	App        string    `json:"app"`
	Service    string    `json:"service"`
	Slot       int       `json:"slot"`
	Generation uint64    `json:"generation"`         // of the last task launched
	Host       string    `json:"host,omitempty"`     // of the last task launched
	Born       uint64    `json:"born,omitempty"`     // generation of the first task; 0: an earlier version launched it
	Kept       []string  `json:"kept,omitempty"`     // the slot's volumes on Host that nobody has named
	Restarts   int       `json:"restarts,omitempty"` // tasks that have ended
	Failures   int       `json:"failures,omitempty"` // of the last tasks in a row that ended badly or soon
	Ended      time.Time `json:"ended,omitzero"`     // when the last task ended
	Spec       string    `json:"spec,omitempty"`     // digest of the service that it ran
	Outcome    string    `json:"outcome,omitempty"`  // its last deploy.Phase; "" also: to be tried again at once
	ExitCode   int       `json:"exit_code,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Unhealthy  bool      `json:"unhealthy,omitempty"` // it was ended because it was unhealthy, and none has been up since
	Fatal      bool      `json:"fatal,omitempty"`     // another attempt fails too unless something outside changes
	Log        []string  `json:"log,omitempty"`       // its last lines of output
}

// Task is a task that was launched and, as far as the framework knows, has not ended.
type Task struct {
	ID                   string     `json:"id"`
	App                  string     `json:"app"`
	Service              string     `json:"service"`
	Slot                 int        `json:"slot"`
	Generation           uint64     `json:"generation"`
	Born                 uint64     `json:"born,omitempty"` // of its slot
	Spec                 string     `json:"spec"`           // digest of the service that it runs
	Agent                string     `json:"agent"`          // Mesos agent ID
	Host                 string     `json:"host"`
	Ports                []app.Port `json:"ports,omitempty"`   // that its service publishes
	Volumes              []string   `json:"volumes,omitempty"` // that exist on its host only
	Phase                string     `json:"phase"`             // a deploy.Phase
	Reason               string     `json:"reason,omitempty"`
	Container            string     `json:"container,omitempty"` // name in Docker: "mesos-" and Mesos' ContainerID; "": not known yet
	Since                time.Time  `json:"since"`               // of Phase
	Started              time.Time  `json:"started,omitzero"`    // zero: it has never run
	Killing              bool       `json:"killing,omitempty"`   // the framework has asked for its end
	KilledUnhealthySince time.Time  `json:"sick,omitzero"`       // of a task that is killed because it is unhealthy; zero: any other
}

// State is everything that is stored.
type State struct {
	FrameworkID string            // "": the master has not given one yet
	Epoch       uint64            // of the app records; 0: none was written
	Revision    uint64            // the last one given to an app; 0: none
	Floors      map[string]uint64 // by app: the highest generation of its forgotten slots
	Apps        map[string]App    // by name
	Tasks       map[string]Task   // by ID
	Slots       map[SlotKey]Slot
	Pins        map[string]string // volume name -> host
}

// SlotKey names a slot.
type SlotKey struct {
	App, Service string
	Slot         int
}

// Key returns the key of the slot.
func (s Slot) Key() SlotKey { return SlotKey{s.App, s.Service, s.Slot} }
