package record

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Kind tells what a Record describes.
type Kind string

// The kinds of record.
const (
	KindHost      Kind = "host"
	KindEndpoint  Kind = "endpoint"
	KindApp       Kind = "app"
	KindForgotten Kind = "forgotten"
)

// Version orders the states of one record. A record has only one writer, so the state
// with the larger version is always the newer one. Epoch is compared first.
type Version struct {
	Epoch uint64 `json:"epoch"` // grows with every start of the writer
	Seq   uint64 `json:"seq"`
}

// Less reports whether v is older than o.
func (v Version) Less(o Version) bool {
	if v.Epoch != o.Epoch {
		return v.Epoch < o.Epoch
	}
	return v.Seq < o.Seq
}

// ErrStale is returned for an app record that is not newer than the known one.
var ErrStale = errors.New("a newer or different version is known")

// Key names a record among those of its owner.
type Key struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"` // Host.Key, endpoint ID, or app name
}

// Record is a replicated, versioned description. Kind tells which one of Host, Endpoint,
// App and Forgotten is set. A tombstone (Deleted) has none of them.
type Record struct {
	Key
	Owner    string    `json:"owner"` // Host.Key of the host that writes it; of an app: the framework's ID
	Version  Version   `json:"version"`
	Deleted  bool      `json:"deleted,omitempty"`
	Host     *Host     `json:"host,omitempty"`
	Endpoint *Endpoint `json:"endpoint,omitempty"`
	App      *App      `json:"app,omitempty"`

	Forgotten *Forgotten `json:"forgotten,omitempty"`
}

// Forgotten says that a host is gone for good. Its records are void for ever, whatever version
// they have: a machine that comes back needs another identity. The record's name is the
// forgotten host's key, its owner the host that was told to forget it. It is never deleted.
type Forgotten struct {
	Name string `json:"name"` // of the forgotten host, for people
}

// Host describes a machine with a Docker Engine and a linker.
type Host struct {
	ID       string       `json:"id,omitempty"`      // a DNS label, unique in the cluster, that never changes; "": it is the name, see Key
	Name     string       `json:"name"`              // a DNS label for people; two machines should not have the same
	Version  string       `json:"version,omitempty"` // of the linker, for people
	Underlay netip.Addr   `json:"underlay"`          // address of gossip and of the VXLAN tunnel
	Block4   netip.Prefix `json:"block4"`            // the part of the IPv4 pool that this host owns
	Block6   netip.Prefix `json:"block6,omitzero"`   // unset without IPv6, as is Overlay6
	Overlay4 netip.Addr   `json:"overlay4"`          // the host's own address: the first of Block4
	Overlay6 netip.Addr   `json:"overlay6,omitzero"`
	MAC      string       `json:"mac"`              // of the host's VXLAN device
	Hold     Hold         `json:"hold,omitempty"`   // of Block4; HoldNone: it has no block
	Claimed  time.Time    `json:"claimed,omitzero"` // when the host claimed its block, by its own clock: for people, nothing follows from it

	// Restarting is how long peers take the linker, once it is silent, for one that restarts;
	// 0: it has announced no restart. It is a duration because the clocks of hosts differ.
	Restarting time.Duration `json:"restarting,omitempty"`
	MTU        int           `json:"mtu,omitempty"` // bytes of the largest IP packet that the host's VXLAN device carries; 0: unknown

	// Troubles say, for people, why the host is not ready: its containers cannot resolve
	// names, reach others or be reached. There are at most MaxTroubles.
	Troubles []string `json:"troubles,omitempty"`

	// Addresses are the host's other addresses, beside Underlay and those of the overlay: its
	// control ports may answer there. There are at most MaxAddresses.
	Addresses []netip.Addr `json:"addresses,omitempty"`
}

// Key returns the host's identity, which names its records, its blocks and its gossip: the ID,
// or the name of a host that is older than IDs.
func (h *Host) Key() string { return cmp.Or(h.ID, h.Name) }

// Hold says how firmly a host holds its block. If two hosts claim one block, the one with
// the firmer hold keeps it, so that a newcomer never takes a block from a host that uses it.
type Hold string

// The holds, each firmer than the one before.
const (
	HoldNone      Hold = ""
	HoldAnnounced Hold = "announced" // other hosts may still contest the claim
	HoldSettled   Hold = "settled"   // nobody has contested it in time
	HoldUsed      Hold = "used"      // settled, and a container has an address of the block
)

// holds are in the order of the wire form.
var holds = []Hold{HoldNone, HoldAnnounced, HoldSettled, HoldUsed}

// Compare returns -1 if h is less firm than o, 1 if it is firmer, else 0.
func (h Hold) Compare(o Hold) int { return cmp.Compare(slices.Index(holds, h), slices.Index(holds, o)) }

// Health is the health state that Docker gives a container.
type Health string

// Docker's health states. With HealthNone the container has no health check and counts as
// healthy while it runs.
const (
	HealthNone      Health = "none"
	HealthStarting  Health = "starting"
	HealthHealthy   Health = "healthy"
	HealthUnhealthy Health = "unhealthy"
)

// Port is a port on which a service listens.
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

	// Last is set only in requests: it asks for any free port from HostPort to Last.
	Last uint16 `json:"-"`
}

// Link is a directed permission: the service that has it may reach another one, under
// that one's own name and under Alias.
type Link struct {
	App     string `json:"app,omitempty"` // "": the app of the service that has the link
	Service string `json:"service"`
	Alias   string `json:"alias,omitempty"` // "": no other name
}

// Export is a service's consent to be linked from another app.
type Export struct {
	To []string `json:"to,omitempty"` // app names; empty means every app
}

// Allows reports whether the service consents to links from app. A nil Export allows none.
func (x *Export) Allows(app string) bool {
	return x != nil && (len(x.To) == 0 ||
		slices.ContainsFunc(x.To, func(to string) bool { return Normal(to) == Normal(app) }))
}

// Endpoint is a container's presence on the overlay. Its record belongs to the host that
// runs the container.
type Endpoint struct {
	ID            string              `json:"id"`        // libnetwork's endpoint ID
	Host          string              `json:"host"`      // Host.Key
	Container     string              `json:"container"` // the container's ID
	ContainerName string              `json:"container_name,omitempty"`
	Hostname      string              `json:"hostname,omitempty"`
	Addr4         netip.Addr          `json:"addr4"`
	Addr6         netip.Addr          `json:"addr6,omitzero"`       // unset without IPv6
	App           string              `json:"app,omitempty"`        // "": a foreign container
	Service       string              `json:"service,omitempty"`    // "": it belongs to no service of its app
	Slot          int                 `json:"slot,omitempty"`       // the number of the instance; 0: it has none
	Generation    uint64              `json:"generation,omitempty"` // counts the tasks that have filled the slot
	Task          string              `json:"task,omitempty"`       // Mesos task ID; "": it is not a task
	Networks      map[string][]string `json:"networks,omitempty"`   // full network name -> aliases
	Links         []Link              `json:"links,omitempty"`
	Strict        bool                `json:"strict,omitempty"` // x-tombolo isolation: links
	Export        *Export             `json:"export,omitempty"`
	Ports         []Port              `json:"ports,omitempty"`
	Published     []PublishedPort     `json:"published,omitempty"`
	Internal      bool                `json:"internal,omitempty"` // only internal networks: no egress
	DNSRR         bool                `json:"dnsrr,omitempty"`    // as in Service
	Running       bool                `json:"running"`            // started, and neither dead nor paused
	Health        Health              `json:"health"`
	Started       time.Time           `json:"started,omitzero"`
}

// EndpointKey returns the key, in a Snapshot, of the endpoint of a host with an ID. Docker
// makes unique IDs, but a host that uses the ID of another host's endpoint must not
// replace that one.
func EndpointKey(host, id string) string { return host + "/" + id }

// Key returns the endpoint's key in a Snapshot.
func (e *Endpoint) Key() string { return EndpointKey(e.Host, e.ID) }

// Answering reports whether names may lead to the endpoint: it runs, and is healthy or
// has no health check.
func (e *Endpoint) Answering() bool {
	return e.Running && (e.Health == HealthHealthy || e.Health == HealthNone)
}

// App describes an app beyond what the labels of its containers can say, such as services
// without containers. The leading framework writes it and gives it to one linker.
type App struct {
	Name     string             `json:"name"`
	Revision uint64             `json:"revision"`
	Strict   bool               `json:"strict,omitempty"`
	Services map[string]Service `json:"services"`
}

// Service is one service of an app record. It replaces the labels of the service's
// containers.
type Service struct {
	Networks    map[string][]string `json:"networks,omitempty"` // full network name -> aliases
	Links       []Link              `json:"links,omitempty"`
	Export      *Export             `json:"export,omitempty"`
	Ports       []Port              `json:"ports,omitempty"`
	Replicas    int                 `json:"replicas"`
	Generations map[int]uint64      `json:"generations,omitempty"` // slot -> the generation to which names lead
	Drained     []int               `json:"drained,omitempty"`     // slots to which no names lead while their connections finish

	// Ingress are the ports that every host serves (mode: ingress), whether it runs an
	// instance or not. Several services that want one port are a conflict.
	Ingress []PublishedPort `json:"ingress,omitempty"`

	// ContainerName and Hostname come from the Compose file, so that both names exist
	// before the first instance.
	ContainerName string `json:"container_name,omitempty"`
	Hostname      string `json:"hostname,omitempty"`

	// DNSRR means that the service has no address of its own: its names lead to the
	// addresses of its instances (deploy.endpoint_mode: dnsrr).
	DNSRR bool `json:"dnsrr,omitempty"`
}

// Snapshot is the content of the catalog at one moment. Nobody may change it or anything
// to which it points.
type Snapshot struct {
	Index     uint64               `json:"index"`     // grows with every change; comparable only within one run of one linker
	Hosts     map[string]*Host     `json:"hosts"`     // by Host.Key
	Endpoints map[string]*Endpoint `json:"endpoints"` // by Endpoint.Key
	Apps      map[string]*App      `json:"apps"`
	Owners    map[string]string    `json:"owners,omitempty"`    // of apps: the ID of the framework that wrote the record
	Forgotten map[string]string    `json:"forgotten,omitempty"` // names of hosts that are gone for good, by Host.Key
	Suspended map[string]bool      `json:"suspended,omitempty"` // hosts that are thought dead, by Host.Key
}

// HostNamed returns the host with a name, or nil. Of several it returns one that answers, if
// there is one, and the same on every host.
func (s *Snapshot) HostNamed(name string) (found *Host) {
	for _, h := range s.Hosts {
		if h.Name == name && (found == nil || s.before(h, found)) {
			found = h
		}
	}
	return found
}

// HostsByName returns for each name what HostNamed does.
func (s *Snapshot) HostsByName() map[string]*Host {
	named := make(map[string]*Host, len(s.Hosts))
	for _, h := range s.Hosts {
		if other := named[h.Name]; other == nil || s.before(h, other) {
			named[h.Name] = h
		}
	}
	return named
}

// before reports whether the name that two hosts have leads to h.
func (s *Snapshot) before(h, other *Host) bool {
	if silent := s.Suspended[h.Key()]; silent != s.Suspended[other.Key()] {
		return !silent
	}
	return h.Key() < other.Key()
}

// HostName returns the name of the host with a key: the key itself if the host is not known.
func (s *Snapshot) HostName(key string) string {
	if h := s.Hosts[key]; h != nil {
		return h.Name
	}
	return key
}
