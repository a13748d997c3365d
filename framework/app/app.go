package app

import "time"

// App is one Compose project, checked and in canonical order: two files that mean
// the same give equal Apps. It is what `tombolo config` prints and what the
// framework's API takes.
type App struct {
	Name     string             `json:"name"`             // a DNS label
	Strict   bool               `json:"strict,omitempty"` // x-tombolo: {isolation: links}
	Services map[string]Service `json:"services"`
	Volumes  map[string]Volume  `json:"volumes,omitempty"` // named volumes by their key in the file
}

// Extension is the key of a Compose file for what Compose has no word for: at the
// top of the file {isolation: links|networks}, in a service {export: true|[app,
// ...], replace: never}.
const Extension = "x-tombolo"

// Service is one Compose service.
type Service struct {
	Name          string `json:"name"` // a DNS label
	Image         string `json:"image"`
	Build         *Build `json:"build,omitempty"` // the client builds; the framework never sees it
	PullPolicy    string `json:"pull_policy,omitempty"`
	Replicas      int    `json:"replicas"`
	Global        bool   `json:"global,omitempty"` // deploy.mode global: one instance a host
	ContainerName string `json:"container_name,omitempty"`
	Hostname      string `json:"hostname,omitempty"`

	// Entrypoint and Command are nil where the image's own apply, and empty but
	// not nil where the file clears them.
	Entrypoint      []string `json:"entrypoint,omitempty"`
	ClearEntrypoint bool     `json:"clear_entrypoint,omitempty"`
	Command         []string `json:"command,omitempty"`

	Environment map[string]string     `json:"environment,omitempty"` // env_file merged in
	Labels      map[string]string     `json:"labels,omitempty"`
	Networks    map[string][]string   `json:"networks,omitempty"`     // full network name -> aliases
	Internal    bool                  `json:"internal,omitempty"`     // on internal networks only
	NetworkMode string                `json:"network_mode,omitempty"` // "" (overlay), or one of those below
	Links       []Link                `json:"links,omitempty"`
	Export      *Export               `json:"export,omitempty"`
	DependsOn   map[string]Dependency `json:"depends_on,omitempty"`

	Ports   []Port   `json:"ports,omitempty"`  // published
	Expose  []Expose `json:"expose,omitempty"` // listened on (published targets included)
	Mounts  []Mount  `json:"mounts,omitempty"`
	Health  *Health  `json:"healthcheck,omitempty"`
	Restart Restart  `json:"restart"`
	// NeverReplace is x-tombolo: {replace: never}: while its host is unreachable an
	// instance is not started elsewhere.
	NeverReplace bool `json:"never_replace,omitempty"`

	Resources   Resources     `json:"resources"`
	StopSignal  string        `json:"stop_signal,omitempty"`
	StopGrace   time.Duration `json:"stop_grace,omitempty"`  // 0: the default, 10 s; a file's 0s is 1 ns
	Constraints []Constraint  `json:"constraints,omitempty"` // deploy.placement

	// Docker holds the flags of `docker run` for everything else that Docker's
	// command line can do and that needs no thought of ours (user, working_dir,
	// cap_add, ulimit, tmpfs, read-only, init, sysctl, dns options, ...), in
	// canonical order.
	Docker []Flag `json:"docker,omitempty"`
}

// Network modes that are off the overlay: nobody finds such a service by name, nor it
// others.
const (
	NetworkNone   = "none"
	NetworkHost   = "host"
	NetworkBridge = "bridge" // the Engine's own, which publishes its ports too
)

// Flag is one `docker run` flag, long name without dashes. Booleans carry "true"
// or "false".
type Flag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Build tells the client how to build the image.
type Build struct {
	Context    string            `json:"context"` // absolute path
	Dockerfile string            `json:"dockerfile,omitempty"`
	Inline     string            `json:"dockerfile_inline,omitempty"`
	Target     string            `json:"target,omitempty"`
	Args       map[string]string `json:"args,omitempty"`
	NoCache    bool              `json:"no_cache,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Network    string            `json:"network,omitempty"`
	Flags      []Flag            `json:"flags,omitempty"` // further flags of `docker build`: cache-from, pull, tag, ...
}

// Link is a directed permission to reach Service (of App; "" is the same app),
// known as Alias too.
type Link struct {
	App     string `json:"app,omitempty"`
	Service string `json:"service"`
	Alias   string `json:"alias,omitempty"`
}

// Target is "db", or "db.shop" of another app.
func (l Link) Target() string {
	if l.App == "" {
		return l.Service
	}
	return l.Service + "." + l.App
}

// Export consents to links from other apps; no names means from every app.
type Export struct {
	To []string `json:"to,omitempty"`
}

// Dependency conditions of the Compose specification.
const (
	Started   = "service_started"
	Healthy   = "service_healthy"
	Completed = "service_completed_successfully"
)

// Dependency says what must hold of another service first.
type Dependency struct {
	Condition string `json:"condition"`
	Restart   bool   `json:"restart,omitempty"`
	Optional  bool   `json:"optional,omitempty"` // required: false
}

// Port is a published port.
type Port struct {
	HostIP string `json:"host_ip,omitempty"`
	Host   uint16 `json:"host"`           // 0: any free one
	Last   uint16 `json:"last,omitempty"` // not 0: any free one from Host to Last
	Target uint16 `json:"target"`
	Proto  string `json:"proto"`
	Name   string `json:"name,omitempty"`
}

// Expose is a port that the service listens on.
type Expose struct {
	Number uint16 `json:"number"`
	Proto  string `json:"proto"`
	Name   string `json:"name,omitempty"`
}

// Mount kinds.
const (
	MountVolume = "volume"
	MountBind   = "bind"
	MountTmpfs  = "tmpfs"
)

// Mount is a volume, a bind mount or a tmpfs.
type Mount struct {
	Type     string            `json:"type"`
	Source   string            `json:"source,omitempty"` // Docker volume name ("shop_data"), or an absolute host path
	Target   string            `json:"target"`
	ReadOnly bool              `json:"read_only,omitempty"`
	Options  map[string]string `json:"options,omitempty"` // further --mount options, by Docker's names
	Create   bool              `json:"create,omitempty"`  // bind: make Source on the host where it is missing
	SELinux  string            `json:"selinux,omitempty"` // bind: relabel, "z" or "Z"
}

// Volume is a named volume. A service with one stays on the host that holds it.
type Volume struct {
	Name     string            `json:"name"` // Docker's name, "shop_data"
	External bool              `json:"external,omitempty"`
	Driver   string            `json:"driver,omitempty"`
	Options  map[string]string `json:"options,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// Health is a Docker health check. Test is in Compose's canonical form: CMD,
// CMD-SHELL or NONE first.
type Health struct {
	Test        []string      `json:"test,omitempty"` // empty: the image's own
	Interval    time.Duration `json:"interval,omitempty"`
	Timeout     time.Duration `json:"timeout,omitempty"`
	Retries     int           `json:"retries,omitempty"`
	StartPeriod time.Duration `json:"start_period,omitempty"`

	StartInterval time.Duration `json:"start_interval,omitempty"` // needs Docker 25 on the hosts
}

// Restart conditions.
const (
	RestartNone      = "none"
	RestartOnFailure = "on-failure"
	RestartAny       = "any"
)

// Restart says what follows when a task ends. The framework restarts, never
// Docker. Compose's "no" is the file's default, but a service that names no
// policy at all is RestartAny: a cluster keeps what it was asked to run.
type Restart struct {
	Condition   string        `json:"condition"`
	MaxAttempts int           `json:"max_attempts,omitempty"` // 0: no limit
	Delay       time.Duration `json:"delay,omitempty"`
	Window      time.Duration `json:"window,omitempty"`
}

// Resources are what is taken from an offer (reservations) and what the kernel
// enforces (limits). Zero: the default reservation (0.1 CPU, 64 MiB), no limit.
type Resources struct {
	CPUs      float64 `json:"cpus,omitempty"`
	MemBytes  int64   `json:"mem_bytes,omitempty"`
	CPULimit  float64 `json:"cpu_limit,omitempty"`
	MemLimit  int64   `json:"mem_limit,omitempty"`
	PIDsLimit int64   `json:"pids_limit,omitempty"`
}

// Constraint is one placement rule of deploy.placement.constraints, for example
// node.hostname == h1 or node.labels.zone != b.
type Constraint struct {
	Attribute string `json:"attribute"` // "hostname" or a Mesos agent attribute
	Op        string `json:"op"`        // "==" or "!="
	Value     string `json:"value"`
}
