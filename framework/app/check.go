package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of an App.
const (
	MaxAppBytes  = 1 << 20     // of its JSON, which the framework stores
	MaxString    = 128<<10 - 1 // bytes of a string: the kernel takes no longer word in a command line
	MaxServices  = 500         // so that planning one app does not hold up the framework
	MaxReplicas  = 10_000      // of one service
	MaxInstances = 20_000      // of one app, of all services together
	MaxItems     = 1024        // networks, aliases on a network, links, ports or exports of one service; a linker takes no more
)

// maxName is the most bytes of a DNS name. It leaves room for the zone behind the name
// (RFC 1035, section 2.3.4).
const maxName = 200

// Validate checks an App from any source. It returns Problems without positions, or
// nil. An App that passes is safe to hand to Docker's command line: its names are
// valid, its flags are known, and Docker takes no other string for a flag.
func (a *App) Validate() error {
	r := &Report{}
	a.Check(r)
	return r.Err()
}

// Check does the work of Validate, and adds the problems to r.
func (a *App) Check(r *Report) {
	c := &check{Report: r, app: a}
	if !c.strings(reflect.ValueOf(*a), Path{}) || !c.size() {
		return
	}
	c.name()
	for _, key := range slices.Sorted(maps.Keys(a.Volumes)) {
		c.volume(a.Volumes[key], Path{"volumes", key})
	}
	for _, name := range slices.Sorted(maps.Keys(a.Services)) {
		s := a.Services[name]
		(&serviceCheck{check: c, Service: &s, path: Path{"services", name}}).run(name)
	}
	c.cycles()
	c.hostPorts()
	c.containerNames()
	c.sharedNames()
}

type check struct {
	*Report
	app *App
}

// strings reports every string that cannot be a word of a command line, and returns
// whether there is none.
func (c *check) strings(v reflect.Value, p Path) bool {
	ok := true
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); len(s) > MaxString || strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			c.Problem(p, "a text of %d bytes has more than %d bytes, contains a NUL, or is not UTF-8", len(s), MaxString)
			return false
		}
	case reflect.Pointer:
		if !v.IsNil() {
			ok = c.strings(v.Elem(), p)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			ok = c.strings(v.Field(i), p.To(name)) && ok
		}
	case reflect.Slice:
		for i := range v.Len() {
			ok = c.strings(v.Index(i), p) && ok
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			ok = c.strings(key, p) && c.strings(v.MapIndex(key), p.To(key.String())) && ok
		}
	}
	return ok
}

// size reports an App that is too large to check further, and one without services.
func (c *check) size() bool {
	if data, err := json.Marshal(c.app); err == nil && len(data) > MaxAppBytes {
		c.Problem(Path{}, "the app has %d bytes, more than %d", len(data), MaxAppBytes)
		return false
	}
	services := Path{"services"}
	if n := c.app.Instances(); n > MaxInstances {
		c.Problem(services, "there are %d instances of all services together, more than %d", n, MaxInstances)
		return false
	}
	switch n := len(c.app.Services); {
	case n > MaxServices:
		c.Problem(services, "there are %d services, more than %d", n, MaxServices)
		return false
	case n == 0 && len(c.Inactive) > 0:
		c.Problem(services, "there is no service to run: all services are in profiles that are not active")
	case n == 0:
		c.Problem(services, "there is no service to run")
	}
	return true
}

func (c *check) name() {
	p := Path{"name"}
	if c.label(p, "app name", c.app.Name) && c.app.Name == "host" {
		c.Problem(p, "the app name host is reserved: hosts have the DNS names NAME.host")
	}
}

// label reports a name that cannot be a label of a DNS name, and returns whether it
// can.
func (c *check) label(p Path, what, name string) bool {
	return c.fault(p, what, name, labelFault(name))
}

// dnsName reports a name that cannot be a DNS name of one or more labels.
func (c *check) dnsName(p Path, what, name string) {
	fault := ""
	for label := range strings.SplitSeq(name, ".") {
		if fault == "" {
			fault = labelFault(label)
		}
	}
	if len(name) > maxName {
		fault = fmt.Sprintf("has %d bytes, more than the %d of a DNS name", len(name), maxName)
	}
	c.fault(p, what, name, fault)
}

func (c *check) fault(p Path, what, name, fault string) (ok bool) {
	if fault != "" {
		c.Problem(p, "%s %q %s", what, name, fault)
	}
	return fault == ""
}

// labelFault says why name cannot be a label of a DNS name, or "". It allows
// underscores, as Compose does, and as DNS does outside of host names (RFC 2181,
// section 11).
func labelFault(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > 63:
		return fmt.Sprintf("has %d bytes, more than the 63 of a DNS label", len(name))
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return "must be made of lower-case letters, digits, - and _, to be a DNS label"
	case strings.ContainsAny(name[:1]+name[len(name)-1:], "-_"):
		return "must begin and end with a letter or a digit, to be a DNS label"
	}
	return ""
}

// oneOf reports a value that is not one of the words.
func (c *check) oneOf(p Path, what, value string, words ...string) {
	if !slices.Contains(words, value) {
		c.Problem(p, "%s %q is not supported, only %s", what, value, strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", "))
	}
}

func (c *check) volume(v Volume, p Path) {
	if !dockerName.MatchString(v.Name) {
		c.Problem(p.To("name"), "%q is not a valid volume name", v.Name)
	}
	c.keys(v.Options, p.To("driver_opts"))
	c.keys(v.Labels, p.To("labels"))
}

// keys reports keys that Docker would read otherwise: it splits KEY=VALUE at the first
// equals sign.
func (c *check) keys(pairs map[string]string, p Path) {
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		if key == "" || strings.Contains(key, "=") {
			c.Problem(p, "%q is not a valid name: it is empty or contains =", key)
		}
	}
}

// containerNames reports services with the same container name: both would answer to
// it, and Docker would refuse the second on the same host.
func (c *check) containerNames() {
	holder := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.app.Services)) {
		container := strings.ToLower(c.app.Services[name].ContainerName)
		if other := holder[container]; other != "" {
			c.Problem(Path{"services", name, "container_name"}, "%s is the container_name of %s too", container, other)
		}
		if container != "" {
			holder[container] = name
		}
	}
}

// hostPorts reports host ports that are published twice, by one service or by two. It
// does not count instances: those of one service share the port, or run on other hosts.
func (c *check) hostPorts() {
	type holder struct {
		service string
		ip      netip.Addr
	}
	holders := map[string][]holder{}
	for _, name := range slices.Sorted(maps.Keys(c.app.Services)) {
		for _, port := range c.app.Services[name].Ports {
			if port.Host == 0 || port.Last != 0 {
				continue // the linker chooses a port that is free
			}
			key := fmt.Sprintf("%d/%s", port.Host, port.Proto)
			ip, _ := netip.ParseAddr(port.HostIP)
			for _, h := range holders[key] {
				if h.ip == ip || anyAddress(h.ip) || anyAddress(ip) {
					c.Problem(Path{"services", name, "ports", fmt.Sprint(port.Host)}, "host port %s is published by %s too", key, h.service)
					break
				}
			}
			holders[key] = append(holders[key], holder{name, ip})
		}
	}
}

func anyAddress(ip netip.Addr) bool { return !ip.IsValid() || ip.IsUnspecified() }
