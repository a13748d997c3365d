package record

import (
	"net/netip"
	"slices"
	"time"
)

// Kind says what a Record describes.
type Kind string

// The three kinds of record.
const (
	KindHost     Kind = "host"
	KindEndpoint Kind = "endpoint"
	KindApp      Kind = "app"
)

// Version orders the states of one record. Each record has one writer, so a
// larger version always replaces a smaller one: first by Epoch (a writer's
// start, larger than any that was ever stored or seen of it), then by Seq.
type Version struct {
	Epoch uint64 `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

// Less reports whether v is older than o.
func (v Version) Less(o Version) bool {
	if v.Epoch != o.Epoch {
		return v.Epoch < o.Epoch
	}
	return v.Seq < o.Seq
}

// Key names a record in the catalog.
type Key struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"` // host name, endpoint ID, or app name
}

// Record is one replicated, versioned description. Exactly one of Host,
// Endpoint and App is set, as Kind says; a tombstone (Deleted) has none.
type Record struct {
	Key
	Owner    string    `json:"owner"` // the writing host's name; for apps the framework's ID
	Version  Version   `json:"version"`
	Deleted  bool      `json:"deleted,omitempty"`
	Host     *Host     `json:"host,omitempty"`
	Endpoint *Endpoint `json:"endpoint,omitempty"`
	App      *App      `json:"app,omitempty"`
}

// Host describes a machine with a Docker Engine and a linker.
type Host struct {
	Name     string       `json:"name"`     // a DNS label, unique in the cluster
	Underlay netip.Addr   `json:"underlay"` // VXLAN tunnel end and gossip address
	Block4   netip.Prefix `json:"block4"`   // the part of the IPv4 pool this host owns
	Block6   netip.Prefix `json:"block6,omitzero"`
	Overlay4 netip.Addr   `json:"overlay4"` // first address of Block4: the host itself
	Overlay6 netip.Addr   `json:"overlay6,omitzero"`
	MAC      string       `json:"mac"`              // of the host's VXLAN device
	Claimed  time.Time    `json:"claimed"`          // when the block was claimed; the younger of two claims loses
	Restart  time.Time    `json:"restart,omitzero"` // until then a silent linker is restarting, not dead
}

// Health is Docker's own verdict on a container.
type Health string

// Docker's health states. HealthNone means that no health check is defined: such
// a container counts as healthy while it runs.
const (
	HealthNone      Health = "none"
	HealthStarting  Health = "starting"
	HealthHealthy   Health = "healthy"
	HealthUnhealthy Health = "unhealthy"
)

// Port is a transport port that a service listens on.
type Port struct {
	Name   string `json:"name,omitempty"` // for SRV look-ups by name
	Number uint16 `json:"number"`
	Proto  string `json:"proto"` // "tcp", "udp" or "sctp"
}

// PublishedPort is a port of the host that leads to a port of an endpoint.
type PublishedPort struct {
	HostIP   netip.Addr `json:"host_ip,omitzero"` // unset: every address of the host
	HostPort uint16     `json:"host_port"`
	Port     uint16     `json:"port"`
	Proto    string     `json:"proto"`

	// Last is of a wish for any free port from HostPort to Last; in no record.
	Last uint16 `json:"-"`
}

// Link is a directed permission: the holder may reach App/Service, and knows it
// as Alias too (and as the service's own name). App is "" for the holder's app.
type Link struct {
	App     string `json:"app,omitempty"`
	Service string `json:"service"`
	Alias   string `json:"alias,omitempty"`
}

// Export is a service's consent to be linked from another app.
type Export struct {
	To []string `json:"to,omitempty"` // app names; empty means every app
}

// Allows reports whether the service consents to links from an app. None has no
// Export and consents to nothing.
func (x *Export) Allows(app string) bool {
	return x != nil && (len(x.To) == 0 ||
		slices.ContainsFunc(x.To, func(to string) bool { return Normal(to) == Normal(app) }))
}

// Endpoint is a container's presence on the overlay. Its owner is the host that
// runs the container.
type Endpoint struct {
	ID            string              `json:"id"`   // libnetwork's endpoint ID
	Host          string              `json:"host"` // Host.Name
	Container     string              `json:"container"`
	ContainerName string              `json:"container_name,omitempty"`
	Hostname      string              `json:"hostname,omitempty"`
	Addr4         netip.Addr          `json:"addr4"`
	Addr6         netip.Addr          `json:"addr6,omitzero"`
	App           string              `json:"app,omitempty"` // "" for a foreign container without labels
	Service       string              `json:"service,omitempty"`
	Slot          int                 `json:"slot,omitempty"`
	Generation    uint64              `json:"generation,omitempty"`
	Task          string              `json:"task,omitempty"`     // Mesos task ID
	Networks      map[string][]string `json:"networks,omitempty"` // full network name -> aliases on it
	Links         []Link              `json:"links,omitempty"`
	Strict        bool                `json:"strict,omitempty"` // x-tombolo isolation: links
	Export        *Export             `json:"export,omitempty"`
	Ports         []Port              `json:"ports,omitempty"`
	Published     []PublishedPort     `json:"published,omitempty"`
	Internal      bool                `json:"internal,omitempty"` // only internal networks: no egress
	Running       bool                `json:"running"`            // Docker said "start"
	Health        Health              `json:"health"`
	Started       time.Time           `json:"started,omitzero"`
}

// Answering reports whether DNS may hand the endpoint out: it runs, and Docker
// does not call it unhealthy or not yet healthy.
func (e *Endpoint) Answering() bool {
	return e.Running && (e.Health == HealthHealthy || e.Health == HealthNone)
}

// App is what labels cannot say of an app. The leading framework writes it and
// hands it to any linker.
type App struct {
	Name     string             `json:"name"`
	Revision uint64             `json:"revision"`
	Strict   bool               `json:"strict,omitempty"`
	Services map[string]Service `json:"services"`
}

// Service is one service of an app record. What it says replaces what the labels
// of the service's containers say.
type Service struct {
	Networks    map[string][]string `json:"networks,omitempty"` // full network name -> aliases
	Links       []Link              `json:"links,omitempty"`
	Export      *Export             `json:"export,omitempty"`
	Ports       []Port              `json:"ports,omitempty"`
	Replicas    int                 `json:"replicas"`
	Generations map[int]uint64      `json:"generations,omitempty"` // slot -> the generation that counts
	Drained     []int               `json:"drained,omitempty"`     // slots out of DNS while connections finish

	// ContainerName and Hostname are the file's own, so that both names exist
	// before the first instance does.
	ContainerName string `json:"container_name,omitempty"`
	Hostname      string `json:"hostname,omitempty"`
}

// Snapshot is an immutable picture of the catalog. Nobody changes a snapshot or
// anything that it points to.
type Snapshot struct {
	Index     uint64               `json:"index"` // grows with every change; local to one linker's run
	Hosts     map[string]*Host     `json:"hosts"`
	Endpoints map[string]*Endpoint `json:"endpoints"` // by endpoint ID
	Apps      map[string]*App      `json:"apps"`
	Owners    map[string]string    `json:"owners,omitempty"`    // of apps: the framework that wrote each
	Suspended map[string]bool      `json:"suspended,omitempty"` // host names thought dead
}
