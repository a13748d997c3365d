package app

import (
	"maps"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	dockerName  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$`)
	networkName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)
	portName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$`) // RFC 6335
	signalName  = regexp.MustCompile(`^([A-Z0-9]+([+-][0-9]+)?|[0-9]{1,2})$`)
	attribute   = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_./-]*$`)
	hostLabel   = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?)*$`)
)

// reserved begins the labels that are ours to set.
const reserved = "tombolo."

// serviceCheck checks one service of an App.
type serviceCheck struct {
	*Report
	*Service
	app  *App
	path Path
}

// Signal is the name of a signal in upper case, which is canonical: Docker takes
// either. Text that names none stays as it is.
func Signal(name string) string {
	if upper := strings.ToUpper(name); signalName.MatchString(upper) {
		return upper
	}
	return name
}

func (c *serviceCheck) run(key string) {
	if c.Name != key {
		c.Problem(c.path, "is named %q", c.Name)
	}
	if why := labelFault(key); why != "" {
		c.Problem(c.path, "service name %s", why)
	}
	c.image()
	c.identity()
	c.replicas()
	c.keys(c.Environment, c.path.To("environment"))
	c.labels()
	c.networks()
	c.links()
	c.dependencies()
	c.ports()
	c.mounts()
	c.health()
	c.limits()
	c.flags()
	c.bounds()
}

func (c *serviceCheck) image() {
	p := c.path.To("image")
	if c.Image == "" {
		c.Problem(c.path, "has neither an image nor a build")
	} else if why := imageFault(c.Image); why != "" {
		c.Problem(p, "%q: %s", c.Image, why)
	}
	switch c.PullPolicy {
	case "", "always", "never", "missing", "build":
	default:
		c.Problem(c.path.To("pull_policy"), "%q is not supported", c.PullPolicy)
	}
	if c.ClearEntrypoint && len(c.Command) == 0 {
		c.Problem(c.path.To("entrypoint"), "is cleared, so command must say what to run")
	}
}

func (c *serviceCheck) identity() {
	if why := nameFault(strings.ToLower(c.ContainerName)); c.ContainerName != "" && why != "" {
		c.Problem(c.path.To("container_name"), "%q %s", c.ContainerName, why)
	}
	if c.ContainerName != "" && (c.Replicas > 1 || c.Global) {
		c.Problem(c.path.To("container_name"), "is one name, and there are several instances")
	}
	if c.Hostname != "" && (len(c.Hostname) > 63 || !hostLabel.MatchString(c.Hostname)) {
		c.Problem(c.path.To("hostname"), "%q is no host name of at most 63 bytes", c.Hostname)
	}
	if c.StopSignal != "" && !signalName.MatchString(c.StopSignal) {
		c.Problem(c.path.To("stop_signal"), "%q is no signal", c.StopSignal)
	}
	if c.StopGrace < 0 {
		c.Problem(c.path.To("stop_grace_period"), "is negative")
	}
	if c.Export != nil {
		for _, to := range c.Export.To {
			if why := labelFault(to); why != "" {
				c.Problem(c.path.To(Extension, "export"), "app name %q %s", to, why)
			}
		}
	}
}

func (c *serviceCheck) replicas() {
	if c.Replicas < 0 || c.Replicas > MaxReplicas {
		c.Problem(c.path.To("deploy", "replicas"), "%d is not between 0 and %d", c.Replicas, MaxReplicas)
	}
	switch c.Restart.Condition {
	case RestartNone, RestartOnFailure, RestartAny:
	default:
		c.Problem(c.path.To("restart"), "condition %q is not supported", c.Restart.Condition)
	}
	if c.Restart.MaxAttempts < 0 || c.Restart.Delay < 0 || c.Restart.Window < 0 {
		c.Problem(c.path.To("restart"), "holds a negative number")
	}
	for _, x := range c.Constraints {
		if !attribute.MatchString(x.Attribute) || x.Op != "==" && x.Op != "!=" || x.Value == "" {
			c.Problem(c.path.To("deploy", "placement", "constraints"), "%s %s %s is no constraint", x.Attribute, x.Op, x.Value)
		}
	}
}

func (c *serviceCheck) labels() {
	c.keys(c.Labels, c.path.To("labels"))
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		if strings.HasPrefix(key, reserved) {
			c.Problem(c.path.To("labels", key), "labels that begin with %s are set by Tombolo", reserved)
		}
	}
}

func (c *serviceCheck) ports() {
	if (c.NetworkMode == NetworkNone || c.NetworkMode == NetworkHost) && len(c.Ports) > 0 {
		c.Problem(c.path.To("ports"), "cannot be published with network_mode %s", c.NetworkMode)
	}
	seen := map[string]bool{}
	for _, p := range c.Ports {
		if p.HostIP != "" {
			if _, err := netip.ParseAddr(p.HostIP); err != nil {
				c.Problem(c.path.To("ports"), "%q is no address of a host", p.HostIP)
			}
		}
		if p.Last != 0 && (p.Host == 0 || p.Last < p.Host) {
			c.Problem(c.path.To("ports"), "%d-%d is no range of host ports", p.Host, p.Last)
		}
		c.port(p.Target, p.Proto, "ports")
		c.portName(p.Name)
	}
	for _, e := range c.Expose {
		c.port(e.Number, e.Proto, "expose")
		c.portName(e.Name)
		if e.Name != "" && seen[e.Name] {
			c.Problem(c.path.To("ports"), "two ports are named %s", e.Name)
		}
		seen[e.Name] = true
	}
}

func (c *serviceCheck) port(number uint16, proto, key string) {
	if number == 0 {
		c.Problem(c.path.To(key), "port 0 is no port")
	}
	if !slices.Contains([]string{"tcp", "udp", "sctp"}, proto) {
		c.Problem(c.path.To(key), "protocol %q is neither tcp, udp nor sctp", proto)
	}
}

// portName checks a name, which only a published port can have got.
func (c *serviceCheck) portName(name string) {
	if name != "" && !portName.MatchString(name) {
		c.Problem(c.path.To("ports"), "port name %q is no service name of DNS: at most 15 lower-case letters, digits and -", name)
	}
}

func (c *serviceCheck) mounts() {
	seen := map[string]bool{}
	for _, m := range c.Mounts {
		p := c.path.To("volumes")
		if !path.IsAbs(m.Target) || m.Target == "/" || path.Clean(m.Target) != m.Target {
			c.Problem(p, "target %q is no path that begins with /", m.Target)
		}
		if seen[m.Target] {
			c.Problem(p, "two volumes go to %s", m.Target)
		}
		seen[m.Target] = true
		c.mountSource(m, p)
		c.mountOptions(m, p)
	}
}

func (c *serviceCheck) mountSource(m Mount, p Path) {
	switch {
	case m.Target == "/etc/resolv.conf":
		c.Problem(p, "/etc/resolv.conf is Tombolo's")
	case m.Type == MountVolume && m.Source != "" && !dockerName.MatchString(m.Source):
		c.Problem(p, "%q is no volume name", m.Source)
	case m.Type == MountBind && (!path.IsAbs(m.Source) || strings.Contains(m.Source+m.Target, ":") && (m.Create || m.SELinux != "")):
		c.Problem(p, "%q is no path on a host that begins with / and has no colon", m.Source)
	case m.Type == MountTmpfs && m.Source != "":
		c.Problem(p, "a tmpfs has no source")
	case !slices.Contains([]string{MountVolume, MountBind, MountTmpfs}, m.Type):
		c.Problem(p, "type %q is not supported", m.Type)
	}
}

// mountOptions are those that Docker knows for each type.
var mountOptions = map[string][]string{
	MountVolume: {"volume-nocopy", "volume-subpath", "volume-label"},
	MountBind:   {"bind-propagation", "bind-recursive"},
	MountTmpfs:  {"tmpfs-size", "tmpfs-mode"},
}

func (c *serviceCheck) mountOptions(m Mount, p Path) {
	for _, key := range slices.Sorted(maps.Keys(m.Options)) {
		name, label, _ := strings.Cut(key, "=")
		if !slices.Contains(mountOptions[m.Type], name) || label != "" && name != "volume-label" {
			c.Problem(p, "option %q is not supported", key)
		}
	}
	if m.Options["bind-recursive"] != "" && (m.Create || m.SELinux != "") {
		c.Problem(p, "option bind-recursive excludes making the folder and selinux")
	}
	if m.SELinux != "" && m.SELinux != "z" && m.SELinux != "Z" {
		c.Problem(p, "selinux %q is neither z nor Z", m.SELinux)
	}
}

func (c *serviceCheck) health() {
	h := c.Health
	if h == nil {
		return
	}
	p := c.path.To("healthcheck")
	if len(h.Test) > 0 {
		if !slices.Contains([]string{"CMD", "CMD-SHELL", "NONE"}, h.Test[0]) {
			c.Problem(p.To("test"), "must begin with CMD, CMD-SHELL or NONE")
		} else if h.Test[0] != "NONE" && strings.Join(h.Test[1:], "") == "" {
			c.Problem(p.To("test"), "says nothing to run")
		}
	}
	if h.Retries < 0 {
		c.Problem(p.To("retries"), "is negative")
	}
	for _, d := range []struct {
		key string
		d   int64
	}{{"interval", int64(h.Interval)}, {"timeout", int64(h.Timeout)}, {"start_period", int64(h.StartPeriod)}, {"start_interval", int64(h.StartInterval)}} {
		if d.d != 0 && d.d < 1_000_000 {
			c.Problem(p.To(d.key), "is less than Docker's least, 1ms")
		}
	}
}

func (c *serviceCheck) limits() {
	r, p := c.Resources, c.path.To("deploy", "resources")
	if r.CPUs < 0 || r.CPULimit < 0 || r.MemBytes < 0 || r.MemLimit < 0 || r.PIDsLimit < -1 {
		c.Problem(p, "holds a negative number")
	}
	if r.CPULimit > 0 && r.CPUs > r.CPULimit {
		c.Problem(p.To("reservations", "cpus"), "%v is more than the limit, %v", r.CPUs, r.CPULimit)
	}
	if r.MemLimit > 0 && r.MemBytes > r.MemLimit {
		c.Problem(p.To("reservations", "memory"), "%d is more than the limit, %d", r.MemBytes, r.MemLimit)
	}
	if r.MemLimit > 0 && r.MemLimit < 6<<20 {
		c.Problem(p.To("limits", "memory"), "%d is less than Docker's least, 6 MiB", r.MemLimit)
	}
}

// flags checks Docker: each must be known, and in the canonical order Docker's
// command line can be compared.
func (c *serviceCheck) flags() {
	for _, f := range c.Docker {
		known, ok := runFlags[f.Name]
		if !ok {
			c.Problem(c.path, "Docker flag %q is not one that a service may set", f.Name)
			continue
		}
		if why := known.accepts(f.Value); why != "" {
			c.Problem(c.path, "Docker flag %s: %q is %s", f.Name, f.Value, why)
		}
	}
	c.conflicts()
}

// conflicts reports what Docker refuses together, before an instance finds out.
// onTheOverlay says why a key is for services off the overlay, whose resolv.conf is
// Docker's.
var onTheOverlay = map[string]string{
	"dns":        "names of the app are answered by the host's linker alone, which forwards the rest to the host's own name servers; set those on the hosts",
	"dns_search": "all containers of a host share one resolv.conf; set LOCALDOMAIN in environment where the image uses glibc",
	"dns_opt":    "all containers of a host share one resolv.conf; set RES_OPTIONS in environment where the image uses glibc",
}

func (c *serviceCheck) conflicts() {
	has := func(name string) bool {
		return slices.ContainsFunc(c.Docker, func(f Flag) bool { return f.Name == name })
	}
	if c.Resources.CPULimit > 0 && (has("cpu-period") || has("cpu-quota")) {
		c.Problem(c.path.To("cpus"), "excludes cpu_period and cpu_quota")
	}
	if has("memory-swap") && !slices.Contains(c.Docker, Flag{"memory-swap", "-1"}) && c.Resources.MemLimit == 0 {
		c.Problem(c.path.To("memswap_limit"), "needs mem_limit")
	}
	if has("mac-address") && (c.NetworkMode == NetworkNone || c.NetworkMode == NetworkHost) {
		c.Problem(c.path.To("mac_address"), "needs a network, and network_mode is %s", c.NetworkMode)
	}
	for flag, key := range map[string]string{"dns": "dns", "dns-search": "dns_search", "dns-option": "dns_opt"} {
		if has(flag) && c.NetworkMode == "" {
			c.Problem(c.path.To(key), "%s", onTheOverlay[key])
		}
	}
	if has("uts") && (c.Hostname != "" || has("domainname")) {
		c.Problem(c.path.To("uts"), "host excludes hostname and domainname")
	}
}
