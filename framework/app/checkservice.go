package app

import (
	"encoding/json"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	dockerName  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$`)
	networkName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)
	portName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$`) // RFC 6335, section 5.1
	signalName  = regexp.MustCompile(`^([A-Z0-9]+([+-][0-9]+)?|[0-9]{1,2})$`)
	attribute   = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_./-]*$`)
	interfaces  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$`) // net/core/dev.c, and no sign that --network gives a meaning
	hostLabel   = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?)*$`)
)

// reserved begins the names of the labels that only Tombolo may set.
const reserved = "tombolo."

// Signal returns a signal's name in upper case, the canonical form: Docker accepts
// both. It returns text that is not a signal unchanged.
func Signal(name string) string {
	if upper := strings.ToUpper(name); signalName.MatchString(upper) {
		return upper
	}
	return name
}

type serviceCheck struct {
	*check
	*Service
	path Path
}

func (c *serviceCheck) run(key string) {
	if c.Name != key {
		c.Problem(c.path, "the service's name is %q, other than its key", c.Name)
	}
	if c.label(c.path, "service name", key) {
		c.reachable(c.path, "service name", key)
	}
	c.image()
	c.identity()
	c.placement()
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
	c.words()
}

func (c *serviceCheck) image() {
	if c.Image == "" {
		c.Problem(c.path, "has neither an image nor a build")
	} else if fault := imageFault(c.Image); fault != "" {
		c.Problem(c.path.To("image"), "%q: %s", c.Image, fault)
	}
	c.oneOf(c.path.To("pull_policy"), "policy", c.PullPolicy, "", "always", "never", "missing", "build")
	if c.ClearEntrypoint && len(c.Command) == 0 {
		c.Problem(c.path.To("entrypoint"), "the file clears it, so command must say what to run")
	}
}

func (c *serviceCheck) identity() {
	if c.ContainerName != "" {
		p := c.path.To("container_name")
		c.dnsName(p, "container name", strings.ToLower(c.ContainerName))
		if c.Replicas > 1 || c.Global {
			c.Problem(p, "there are several instances, and only one can have this name")
		}
	}
	if c.Hostname != "" && (len(c.Hostname) > 63 || !hostLabel.MatchString(c.Hostname)) {
		c.Problem(c.path.To("hostname"), "%q is not a host name of at most 63 bytes", c.Hostname)
	}
	if c.StopSignal != "" && !signalName.MatchString(c.StopSignal) {
		c.Problem(c.path.To("stop_signal"), "%q is not a signal", c.StopSignal)
	}
	if c.StopGrace < 0 {
		c.Problem(c.path.To("stop_grace_period"), "is negative")
	}
	if c.Export != nil {
		for _, to := range c.Export.To {
			c.label(c.path.To(Extension, "export"), "app name", to)
		}
	}
}

func (c *serviceCheck) placement() {
	if c.Replicas < 0 || c.Replicas > MaxReplicas {
		c.Problem(c.path.To("deploy", "replicas"), "%d is not between 0 and %d", c.Replicas, MaxReplicas)
	}
	restart := c.path.To("restart")
	c.oneOf(restart, "condition", c.Restart.Condition, RestartNone, RestartOnFailure, RestartAny)
	if c.Restart.MaxAttempts < 0 || c.Restart.Delay < 0 || c.Restart.Window < 0 {
		c.Problem(restart, "contains a negative number")
	}
	for _, x := range c.Constraints {
		if !attribute.MatchString(x.Attribute) || x.Op != "==" && x.Op != "!=" || x.Value == "" {
			c.Problem(c.path.To("deploy", "placement", "constraints"), "%s %s %s is not a constraint", x.Attribute, x.Op, x.Value)
		}
	}
}

func (c *serviceCheck) labels() {
	c.keys(c.Environment, c.path.To("environment"))
	c.keys(c.Labels, c.path.To("labels"))
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		if strings.HasPrefix(key, reserved) {
			c.Problem(c.path.To("labels", key), "only Tombolo sets labels that begin with %s", reserved)
		}
	}
}

func (c *serviceCheck) ports() {
	p := c.path.To("ports")
	if (c.NetworkMode == NetworkNone || c.NetworkMode == NetworkHost) && len(c.Ports) > 0 {
		c.Problem(p, "cannot be published with network_mode %s", c.NetworkMode)
	}
	for _, port := range c.Ports {
		if _, err := netip.ParseAddr(port.HostIP); port.HostIP != "" && err != nil {
			c.Problem(p, "%q is not an IP address", port.HostIP)
		}
		c.portMode(p, port)
		if port.Last != 0 && (port.Host == 0 || port.Last < port.Host) {
			c.Problem(p, "%d-%d is not a range of host ports", port.Host, port.Last)
		}
		c.port(p, Expose{Number: port.Target, Proto: port.Proto, Name: port.Name})
	}
	named := map[string]bool{}
	for _, e := range c.Expose {
		c.port(c.path.To("expose"), e)
		if e.Name != "" && named[e.Name] {
			c.Problem(p, "two ports are named %s", e.Name)
		}
		named[e.Name] = true
	}
}

func (c *serviceCheck) portMode(p Path, port Port) {
	switch {
	case port.Mode != "" && port.Mode != ModeIngress:
		c.Problem(p, "%q is not a mode of a port: host or ingress", port.Mode)
	case port.OnEveryHost() && (port.Host == 0 || port.Last != 0):
		c.Problem(p, "with mode ingress the host port must be one number, because every host serves it")
	case port.OnEveryHost() && c.NetworkMode != "":
		c.Problem(p, "mode ingress needs the overlay: it cannot be used with network_mode %s", c.NetworkMode)
	}
}

func (c *serviceCheck) port(p Path, e Expose) {
	if e.Number == 0 {
		c.Problem(p, "port 0 is not a port of a container")
	}
	c.oneOf(p, "protocol", e.Proto, "tcp", "udp", "sctp")
	if e.Name != "" && !portName.MatchString(e.Name) { // the file can name published ports only
		c.Problem(c.path.To("ports"), "port name %q is not a DNS service name: at most 15 lower-case letters, digits and -", e.Name)
	}
}

func (c *serviceCheck) health() {
	h := c.Health
	if h == nil {
		return
	}
	p := c.path.To("healthcheck")
	if len(h.Test) > 0 {
		c.oneOf(p.To("test"), "first word", h.Test[0], "CMD", "CMD-SHELL", "NONE")
		if h.Test[0] != "NONE" && strings.Join(h.Test[1:], "") == "" {
			c.Problem(p.To("test"), "has no command to run")
		}
	}
	if h.Retries < 0 {
		c.Problem(p.To("retries"), "is negative")
	}
	for key, d := range map[string]time.Duration{
		"interval": h.Interval, "timeout": h.Timeout, "start_period": h.StartPeriod, "start_interval": h.StartInterval,
	} {
		if d != 0 && d < time.Millisecond {
			c.Problem(p.To(key), "is less than 1ms, the least that Docker accepts")
		}
	}
}

func (c *serviceCheck) limits() {
	r, p := c.Resources, c.path.To("deploy", "resources")
	if r.CPUs < 0 || r.CPULimit < 0 || r.MemBytes < 0 || r.MemLimit < 0 || r.PIDsLimit < -1 {
		c.Problem(p, "contains a negative number")
	}
	if r.CPULimit > 0 && r.CPUs > r.CPULimit {
		c.Problem(p.To("reservations", "cpus"), "%v is more than the limit, %v", r.CPUs, r.CPULimit)
	}
	if r.MemLimit > 0 && r.MemBytes > r.MemLimit {
		c.Problem(p.To("reservations", "memory"), "%d is more than the limit, %d", r.MemBytes, r.MemLimit)
	}
	if r.MemLimit > 0 && r.MemLimit < 6<<20 {
		c.Problem(p.To("limits", "memory"), "%d is less than 6 MiB, the least that Docker accepts", r.MemLimit)
	}
}

// bounds checks how many items the labels and the app record of the service list.
func (c *serviceCheck) bounds() {
	c.count(len(c.Networks), "networks")
	for name, aliases := range c.Networks {
		c.count(len(aliases), "networks", name, "aliases")
	}
	c.count(len(c.Links), "links")
	if c.count(len(c.Ports), "ports") {
		c.count(len(c.Expose), "expose") // it contains the ports
	}
	if c.Export != nil {
		c.count(len(c.Export.To), Extension, "export")
	}
}

func (c *serviceCheck) count(n int, key ...string) (ok bool) {
	if n > MaxItems {
		c.Problem(c.path.To(key...), "there are %d, more than %d", n, MaxItems)
	}
	return n <= MaxItems
}

// words checks the words of `docker run` that are made of several strings. A word of
// one string passed the check of strings.
func (c *serviceCheck) words() {
	for key, value := range c.Environment {
		c.word(key+"="+value, "environment", key)
	}
	for key, value := range c.Labels {
		c.word("--label="+key+"="+value, "labels", key)
	}
	for key, value := range map[string]any{"networks": c.Networks, "links": c.Links, "expose": c.Expose} {
		if data, err := json.Marshal(value); err == nil {
			c.word("--label="+reserved+key+"="+string(data), key)
		}
	}
	for _, f := range append(c.DockerFlags(), c.app.MountFlags(c.Name)...) {
		if word := "--" + f.Name + "=" + f.Value; len(word) > MaxString {
			c.Problem(c.path, "Docker flag %s has %d bytes, more than %d", f.Name, len(word), MaxString)
		}
	}
}

func (c *serviceCheck) word(text string, key ...string) {
	if len(text) > MaxString {
		c.Problem(c.path.To(key...), "makes a word of %d bytes in Docker's command line, more than %d", len(text), MaxString)
	}
}
