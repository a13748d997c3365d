package app

import (
	"slices"
	"time"
)

// App is one Compose project, checked and in canonical order: two files that mean
// the same give equal Apps. The framework's API takes it as JSON, and the framework
// stores that JSON.
type App struct {
	Name     string             `json:"name"`              // a DNS label
	Strict   bool               `json:"strict,omitempty"`  // only links open ways between services (x-tombolo: {isolation: links})
	Services map[string]Service `json:"services"`          // by name
	Volumes  map[string]Volume  `json:"volumes,omitempty"` // named volumes, by their key in the file
}

// Instances returns the number of instances of all services. A global service, whose number
// depends on the cluster, counts as one, and a service has at most MaxReplicas.
func (a *App) Instances() (n int) {
	for _, s := range a.Services {
		if s.Global {
			n++
			continue
		}
		n += min(max(s.Replicas, 0), MaxReplicas)
	}
	return n
}

// Extension is the key of a Compose file under which Tombolo's own settings stand:
// at the top of the file `isolation: links` or `networks`, in a service `export: true`
// or a list of apps, and `replace: never`.
const Extension = "x-tombolo"

// Service is one Compose service. The zero value of a field means that the file does
// not set the key, unless the field's comment says otherwise.
//
// Package deploy digests the JSON of a Service to tell whether running containers are
// still current: another JSON name, or another order of the fields, replaces the
// containers of every app.
type Service struct {
	Name          string `json:"name"` // a DNS label, and the key in App.Services
	Image         string `json:"image"`
	Build         *Build `json:"build,omitempty"` // for the client, which builds and pushes the image
	PullPolicy    string `json:"pull_policy,omitempty"`
	Replicas      int    `json:"replicas"`         // number of instances; 0: none
	Global        bool   `json:"global,omitempty"` // one instance on each host (deploy.mode: global); Replicas does not count then
	ContainerName string `json:"container_name,omitempty"`
	Hostname      string `json:"hostname,omitempty"`

	Entrypoint      []string `json:"entrypoint,omitempty"`       // nil: the image's own
	ClearEntrypoint bool     `json:"clear_entrypoint,omitempty"` // run Command without the image's entrypoint
	Command         []string `json:"command,omitempty"`          // nil: the image's own

	Environment map[string]string     `json:"environment,omitempty"` // with the variables of env_file
	Labels      map[string]string     `json:"labels,omitempty"`
	Networks    map[string][]string   `json:"networks,omitempty"`     // a network's full name -> the service's aliases on it
	Interface   string                `json:"interface,omitempty"`    // name of the containers' interface; "": eth0
	Internal    bool                  `json:"internal,omitempty"`     // all its networks are internal: its containers have no egress
	NetworkMode string                `json:"network_mode,omitempty"` // "": the overlay; else NetworkNone, NetworkHost or NetworkBridge
	Links       []Link                `json:"links,omitempty"`
	DNSRR       bool                  `json:"dnsrr,omitempty"`  // no address of its own: its names lead to its instances (deploy.endpoint_mode: dnsrr)
	Export      *Export               `json:"export,omitempty"` // nil: no other app may link to it
	DependsOn   map[string]Dependency `json:"depends_on,omitempty"`

	Ports        []Port   `json:"ports,omitempty"`  // published on the hosts that run an instance
	Expose       []Expose `json:"expose,omitempty"` // ports that it listens on, with the targets of Ports
	Mounts       []Mount  `json:"mounts,omitempty"`
	Health       *Health  `json:"healthcheck,omitempty"` // nil: the image's own check
	Restart      Restart  `json:"restart"`
	NeverReplace bool     `json:"never_replace,omitempty"` // while the host of an instance is unreachable, start no other (x-tombolo: {replace: never})

	Resources   Resources     `json:"resources"`
	StopSignal  string        `json:"stop_signal,omitempty"` // "": the image's own
	StopGrace   time.Duration `json:"stop_grace,omitempty"`  // 0: the default, 10 s; `stop_grace_period: 0s` is stored as 1 ns
	Constraints []Constraint  `json:"constraints,omitempty"` // on the hosts that it may run on

	// Docker holds the flags of `docker run` for all other keys of the file (user,
	// working_dir, cap_add, ulimits, tmpfs, ...), in canonical order.
	Docker []Flag `json:"docker,omitempty"`
}

// Network modes of services that are not on the overlay. Other services do not find
// such a service by name, and it does not find them.
const (
	NetworkNone   = "none"
	NetworkHost   = "host"
	NetworkBridge = "bridge" // the Engine's own bridge, which publishes the ports too
)

// Flag is one flag of a Docker command: its long name without dashes, and its value.
// A boolean flag has the value "true" or "false".
type Flag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Build tells the client how to build the image with `docker build`.
type Build struct {
	Context    string            `json:"context"` // absolute path on the client, or a URL
	Dockerfile string            `json:"dockerfile,omitempty"`
	Inline     string            `json:"dockerfile_inline,omitempty"` // the Dockerfile's text
	Target     string            `json:"target,omitempty"`
	Args       map[string]string `json:"args,omitempty"`
	NoCache    bool              `json:"no_cache,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Network    string            `json:"network,omitempty"`
	Flags      []Flag            `json:"flags,omitempty"` // further flags of `docker build`, such as cache-from or tag
}

// Link permits a service to reach another one, and gives that one a second name.
type Link struct {
	App     string `json:"app,omitempty"` // of the service that is reached; "": the same app
	Service string `json:"service"`
	Alias   string `json:"alias,omitempty"` // "": the service is known by its own name only
}

// Target names the service that is reached: "db", or "db.shop" in another app.
func (l Link) Target() string {
	if l.App == "" {
		return l.Service
	}
	return l.Service + "." + l.App
}

// Export permits services of other apps to link to a service.
type Export struct {
	To []string `json:"to,omitempty"` // names of apps; empty: every app
}

// The conditions of a Dependency, with the words of the Compose specification.
const (
	Started   = "service_started"
	Healthy   = "service_healthy"
	Completed = "service_completed_successfully"
)

// Dependency is a condition that another service must meet before an instance starts
// for the first time.
type Dependency struct {
	Condition string `json:"condition"`
	Restart   bool   `json:"restart,omitempty"`  // replace the instances when the other service changes
	Optional  bool   `json:"optional,omitempty"` // the other service may be missing (required: false)
}

// ModeIngress is the Mode of a port that every host serves, whether it runs an instance
// or not.
const ModeIngress = "ingress"

// Port is a published port.
type Port struct {
	HostIP string `json:"host_ip,omitempty"` // "": all addresses of the host
	Host   uint16 `json:"host"`              // 0: any free port
	Last   uint16 `json:"last,omitempty"`    // not 0: any free port from Host to Last
	Target uint16 `json:"target"`            // in the container
	Proto  string `json:"proto"`             // tcp, udp or sctp
	Name   string `json:"name,omitempty"`
	Mode   string `json:"mode,omitempty"` // "": the hosts that run an instance serve the port; or ModeIngress
}

// OnEveryHost reports whether every host serves the port.
func (p Port) OnEveryHost() bool { return p.Mode == ModeIngress }

// OfInstances returns the ports that only the hosts with an instance serve.
func OfInstances(ports []Port) []Port {
	return slices.DeleteFunc(slices.Clone(ports), Port.OnEveryHost)
}

// Ingress returns the ports that every host serves.
func Ingress(ports []Port) []Port {
	return slices.DeleteFunc(slices.Clone(ports), func(p Port) bool { return !p.OnEveryHost() })
}

// PortsOverlap reports whether one host cannot serve both. A port that is left to the host
// overlaps no other.
func PortsOverlap(a, b Port) bool {
	fixed := a.Host == b.Host && a.Host != 0 && a.Last == 0 && b.Last == 0
	return fixed && a.Proto == b.Proto && (a.HostIP == b.HostIP || everyAddress(a.HostIP) || everyAddress(b.HostIP))
}

func everyAddress(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }

// Expose is a port that the service listens on.
type Expose struct {
	Number uint16 `json:"number"`
	Proto  string `json:"proto"` // tcp, udp or sctp
	Name   string `json:"name,omitempty"`
}

// The types of a Mount.
const (
	MountVolume = "volume"
	MountBind   = "bind"
	MountTmpfs  = "tmpfs"
)

// Mount is a volume, a bind mount or a tmpfs.
type Mount struct {
	Type     string            `json:"type"`
	Source   string            `json:"source,omitempty"` // Docker's name of a volume ("": a new, anonymous one), or a path on the host
	Target   string            `json:"target"`           // absolute path in the container
	ReadOnly bool              `json:"read_only,omitempty"`
	Options  map[string]string `json:"options,omitempty"` // further options of `docker run --mount`
	Create   bool              `json:"create,omitempty"`  // bind: make Source a folder where the host has none
	SELinux  string            `json:"selinux,omitempty"` // bind: relabel with "z" or "Z"; "": not
}

// Volume is a named volume. An instance with a volume stays on the host that has the
// volume's data.
type Volume struct {
	Name     string            `json:"name"`               // Docker's name, such as "shop_data"
	External bool              `json:"external,omitempty"` // somebody else made it, and removes it
	Driver   string            `json:"driver,omitempty"`   // "": Docker's default
	Options  map[string]string `json:"options,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// Health is a Docker health check. What it leaves out is as in the image.
type Health struct {
	Test        []string      `json:"test,omitempty"` // CMD, CMD-SHELL or NONE, then its words
	Interval    time.Duration `json:"interval,omitempty"`
	Timeout     time.Duration `json:"timeout,omitempty"`
	Retries     int           `json:"retries,omitempty"`
	StartPeriod time.Duration `json:"start_period,omitempty"`

	StartInterval time.Duration `json:"start_interval,omitempty"` // needs Docker 25 on the hosts
}

// The conditions of a Restart.
const (
	RestartNone      = "none"
	RestartOnFailure = "on-failure"
	RestartAny       = "any"
)

// Restart says whether a task that ended is followed by another one. The framework
// starts it; Docker's own restart policy is never used. A service that names no policy
// has RestartAny, where Docker has "no": a cluster keeps running what it was given.
type Restart struct {
	Condition   string        `json:"condition"`
	MaxAttempts int           `json:"max_attempts,omitempty"` // 0: no limit
	Delay       time.Duration `json:"delay,omitempty"`        // between two tasks; 0: the framework's back-off
	Window      time.Duration `json:"window,omitempty"`       // a task that ran for so long has not failed early; 0: the framework's default
}

// Resources of one instance. Reservations are taken from the offer of a host (0: see
// Reserve), limits are enforced by the host's kernel (0: no limit).
type Resources struct {
	CPUs      float64 `json:"cpus,omitempty"`      // reserved
	MemBytes  int64   `json:"mem_bytes,omitempty"` // reserved
	CPULimit  float64 `json:"cpu_limit,omitempty"`
	MemLimit  int64   `json:"mem_limit,omitempty"`  // bytes
	PIDsLimit int64   `json:"pids_limit,omitempty"` // number of processes; -1: no limit
}

// Constraint is one rule of deploy.placement.constraints, such as
// `node.hostname == h1` or `node.labels.zone != b`.
type Constraint struct {
	Attribute string `json:"attribute"` // "hostname", or the name of a Mesos agent's attribute
	Op        string `json:"op"`        // "==" or "!="
	Value     string `json:"value"`
}
