package place

import (
	"math"

	"tombolo/framework/app"
	"tombolo/linker/record"
)

// Host is a host as it can be used now.
type Host struct {
	Name       string
	Offered    bool // it has an outstanding offer; the next say of what, or of what it had one
	CPUs       float64
	MemBytes   int64
	Ports      []PortRange
	Attributes map[string]string
	Problem    string // not empty: it takes nothing now, because
}

// PortRange is a range of host ports that a host offers as a resource, both ends
// included.
type PortRange struct{ First, Last uint16 }

// Instance is an instance that a host has already.
type Instance struct{ App, Service, Host string }

// Taken is a host port that somebody holds. Replicas of one service share it.
type Taken struct {
	Host         string
	Port         app.Port // HostIP, Host and Proto count, and Target for who may share it
	Holder       string   // who, for people: "shop/web.2"
	App, Service string   // whose; "" of no service's
}

// Request is an instance that looks for a host.
type Request struct {
	App, Service   string
	Slot           int
	CPUs           float64
	MemBytes       int64
	Ports          []app.Port // where more than one host port will do, the host's linker chooses
	ExclusivePorts bool       // its ports are not shared with replicas: no linker publishes them
	Volumes        []string   // names of the volumes that tie it to their host
	Constraints    []app.Constraint
	Host           string // not empty: there or nowhere (one instance a host)
	Avoid          string // there only if nowhere else: its last task failed there
}

// Cluster is what Place decides on.
type Cluster struct {
	Hosts     []Host // every known host
	Instances []Instance
	Taken     []Taken
	Pins      map[string]string // volume name -> the host that holds it
}

// Assignment gives the request of that index a host.
type Assignment struct {
	Request      int
	Host         string
	OfferedPorts []uint16 // the host ports that lie inside the offered ranges
}

// Kind classes a refusal.
type Kind int

// The kinds of refusal, the most fundamental first: that is the order in which
// they are looked for.
const (
	WrongHost  Kind = iota // the request is for another host
	Volume                 // a volume of it is on another host
	Constraint             // a constraint forbids the host
	Problem                // the host takes nothing now
	Port                   // a host port is taken
	Resources              // too little is left, or was with its last offer
	NoOffer                // the host offers nothing now
)

// Refusal says why a host cannot take a request.
type Refusal struct {
	Host   string
	Kind   Kind
	Reason string // "cpus 0.1 of 0.05 left"
}

// Result is every request's fate: it is in Assigned, or Refused says why not, by
// its index, for every host in the order of their names.
type Result struct {
	Assigned []Assignment
	Refused  map[int][]Refusal
}

// Place gives each request, in their order, the best host that can take it: not
// the one to avoid, then fewest instances of its service, then of its app, then
// most CPU left, then most memory, then the first by name. Earlier assignments
// count for later requests.
func Place(situation Cluster, requests []Request) Result {
	room := newRoom(situation, requests)
	result := Result{Refused: map[int][]Refusal{}}
	hopeless := map[kin][]Refusal{}
	for i := range requests {
		request := &requests[i]
		if why, known := hopeless[kinOf(request)]; known {
			// Room only shrinks: what a twin was refused for still holds.
			result.Refused[i] = why
			continue
		}
		if best := room.best(request); best != nil {
			result.Assigned = append(result.Assigned, Assignment{i, best.Name, room.take(best, request)})
			continue
		}
		why := room.explain(request)
		hopeless[kinOf(request)] = why
		result.Refused[i] = why
	}
	return result
}

// kin groups the requests that differ in their slot only.
type kin struct{ app, service, host string }

func kinOf(r *Request) kin { return kin{r.App, r.Service, r.Host} }

// Eligible reports whether the constraints let a service use the host at all.
func Eligible(host Host, constraints []app.Constraint) bool {
	_, ok := violated(&host, constraints)
	return !ok
}

func violated(host *Host, constraints []app.Constraint) (app.Constraint, bool) {
	for _, c := range constraints {
		value, has := host.Attributes[c.Attribute]
		equal := has && value == c.Value
		if c.Attribute == "hostname" {
			name, err := record.HostName(c.Value) // agents and people may say it in full
			equal = err == nil && name == host.Name
		}
		if equal != (c.Op == "==") {
			return c, true
		}
	}
	return app.Constraint{}, false
}

// milli turns CPUs into the thousandths that Mesos counts in, so that sums of
// floats do not drift.
func milli(cpus float64) int64 { return int64(math.Round(cpus * 1000)) }
