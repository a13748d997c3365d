package place

import (
	"math"

	"tombolo/framework/app"
	"tombolo/linker/record"
)

// Cluster is all that Place knows about the cluster.
type Cluster struct {
	Hosts     []Host // all known hosts
	Instances []Instance
	Taken     []Taken
	Pins      map[string]string // a volume's name -> the host that has its data
}

// Host is a host of the cluster.
type Host struct {
	Name       string
	Offered    bool // it has an outstanding offer, of CPUs, MemBytes and Ports; else these are of its last offer
	CPUs       float64
	MemBytes   int64
	Ports      []PortRange
	Attributes map[string]Attribute // of the Mesos agent
	Problem    string               // why no instance may start on it; "": instances may
}

// PortRange is a range of host ports in an offer. It includes both ends.
type PortRange struct{ First, Last uint16 }

// Instance is an instance that a host runs already.
type Instance struct{ App, Service, Host string }

// Taken is a host port that is in use. Replicas of one service may share it.
type Taken struct {
	Host         string
	Port         app.Port
	Holder       string // for messages: "shop/web.2"
	App, Service string // of the holder; "": it is not a service
}

// Request is an instance that needs a host.
type Request struct {
	App, Service   string
	Slot           int
	CPUs           float64
	MemBytes       int64
	Ports          []app.Port // published; the host's linker chooses a host port that the file leaves open
	ExclusivePorts bool       // replicas cannot share Ports, because no linker publishes them
	Volumes        []string   // names of the volumes that tie it to their host
	Constraints    []app.Constraint
	Host           string // the only host that may have it; "": any host
	Avoid          string // the last choice among the hosts, because its last task failed there; "": none
}

// Assignment gives a request to a host.
type Assignment struct {
	Request      int // index into the requests
	Host         string
	OfferedPorts []uint16 // host ports of the request that are in the host's offer
}

// Kind classes a Refusal.
type Kind int

// The kinds of a Refusal, in the order in which Place looks for them.
const (
	WrongHost  Kind = iota // the request is for another host
	Volume                 // a volume of the request is on another host
	Constraint             // a constraint forbids the host
	Problem                // no instance may start on the host
	Port                   // a host port is taken
	Resources              // too little is left of the offer, or was in the last one
	NoOffer                // the host has no outstanding offer
)

// Refusal says why a host cannot have an instance.
type Refusal struct {
	Host   string
	Kind   Kind
	Reason string // "cpus 0.1 of 0.05 left"
}

// Result has every request either in Assigned, or in Refused with a refusal of each host.
type Result struct {
	Assigned []Assignment
	Refused  map[int][]Refusal // by the index of the request; hosts by name
	Near     map[string]bool   // hosts on which a refused request fits with a little more room, or with a port that is taken now
}

// Place gives each request, in order, the best host that can have it. A host is better
// if it is not the one to avoid, then if it runs fewer instances of the service, then
// fewer of the app, then if it has more CPU left, then more memory, then by name. Later
// requests find what earlier ones left.
func Place(cluster Cluster, requests []Request) Result {
	room := newRoom(cluster, requests)
	result := Result{Refused: map[int][]Refusal{}, Near: map[string]bool{}}
	hopeless := map[replicaKey][]Refusal{}
	for i := range requests {
		request := &requests[i]
		key := replicaKey{request.App, request.Service, request.Host}
		if refusals, known := hopeless[key]; known {
			result.Refused[i] = refusals // room only shrinks
		} else if best := room.best(request); best != nil {
			result.Assigned = append(result.Assigned, Assignment{i, best.Name, room.take(best, request)})
		} else {
			hopeless[key] = room.explain(request, result.Near)
			result.Refused[i] = hopeless[key]
		}
	}
	return result
}

// replicaKey is equal for requests that differ only in their slots.
type replicaKey struct{ app, service, host string }

// Eligible reports whether the constraints of a service permit a host.
func Eligible(host Host, constraints []app.Constraint) bool {
	_, bad := violated(&host, constraints)
	return !bad
}

func violated(host *Host, constraints []app.Constraint) (app.Constraint, bool) {
	for _, c := range constraints {
		value, has := host.Attributes[c.Attribute]
		equal := has && value.Matches(c.Value)
		if c.Attribute == "hostname" {
			name, err := record.HostName(c.Value) // the file may have the name with its domain
			equal = err == nil && name == host.Name
		}
		if equal != (c.Op == "==") {
			return c, true
		}
	}
	return app.Constraint{}, false
}

// milli returns thousandths of a CPU, in which Mesos counts: sums of floats would drift.
func milli(cpus float64) int64 { return int64(math.Round(cpus * 1000)) }
