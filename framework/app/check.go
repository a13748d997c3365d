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

// Bounds of an App. Its JSON is what the framework stores; a string may become
// one word of a command line, whose length the kernel bounds. Services bound how
// long one look at an app may keep the framework, items what a linker takes in.
const (
	MaxAppBytes = 1 << 20
	MaxString   = 128<<10 - 1
	MaxServices = 500
	MaxReplicas = 10_000
	MaxItems    = 1024 // networks, aliases of each, links, ports, exports of one service
)

// Validate reports everything that is wrong with an App, whoever made it. An App
// that passes can be handed to Docker's command line: its names are names, its
// flags are known ones, and no string is mistaken for a flag. The error is
// Problems, without positions.
func (a *App) Validate() error {
	r := &Report{}
	a.Check(r)
	return r.Err()
}

// Check adds to r everything that is wrong with an App.
func (a *App) Check(r *Report) {
	if !r.strings(reflect.ValueOf(*a), Path{}) {
		return
	}
	if data, err := json.Marshal(a); err == nil && len(data) > MaxAppBytes {
		r.Problem(Path{}, "the app has %d bytes, more than %d", len(data), MaxAppBytes)
		return
	}
	r.appName(a.Name)
	if len(a.Services) == 0 {
		r.Problem(Path{"services"}, "there is no service to run%s", r.profilesHint())
	}
	if n := len(a.Services); n > MaxServices {
		r.Problem(Path{"services"}, "are %d, more than %d", n, MaxServices)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(a.Volumes)) {
		r.volume(a.Volumes[key], Path{"volumes", key})
	}
	for _, name := range slices.Sorted(maps.Keys(a.Services)) {
		s := a.Services[name]
		c := &serviceCheck{Report: r, app: a, Service: &s, path: Path{"services", name}}
		c.run(name)
	}
	r.cycles(a)
	r.hostPorts(a)
	r.containerNames(a)
}

func (r *Report) profilesHint() string {
	if len(r.Inactive) == 0 {
		return ""
	}
	return ": all are in profiles that are not active"
}

func (r *Report) appName(name string) {
	if why := labelFault(name); why != "" {
		r.Problem(Path{"name"}, "app name %q %s", name, why)
	} else if name == "host" {
		r.Problem(Path{"name"}, "app name host is taken: NAME.host are the hosts' names")
	}
}

// labelFault says why name can be no label of a DNS name, or "". Compose allows
// underscores in names, and so does DNS outside host names (RFC 2181, 11).
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

// nameFault says why name cannot be a DNS name of one label or more, or "".
func nameFault(name string) string {
	if len(name) > maxName {
		return fmt.Sprintf("has %d bytes, more than the %d of a DNS name", len(name), maxName)
	}
	for label := range strings.SplitSeq(name, ".") {
		if why := labelFault(label); why != "" {
			return why
		}
	}
	return ""
}

// maxName leaves room for the zone after a name (RFC 1035, 2.3.4).
const maxName = 200

func (r *Report) volume(v Volume, p Path) {
	if !dockerName.MatchString(v.Name) {
		r.Problem(p.To("name"), "%q is no volume name", v.Name)
	}
	r.keys(v.Options, p.To("driver_opts"))
	r.keys(v.Labels, p.To("labels"))
}

// keys checks the names of pairs: Docker splits name=value at the first =.
func (r *Report) keys(pairs map[string]string, p Path) {
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		if key == "" || strings.Contains(key, "=") {
			r.Problem(p, "%q is no name", key)
		}
	}
}

// strings refuses what no word of a command line can hold, wherever in an App it
// stands, and reports whether it found nothing.
func (r *Report) strings(v reflect.Value, p Path) bool {
	ok := true
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); len(s) > MaxString || strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			r.Problem(p, "a text of %d bytes is longer than %d, or holds NUL or what is not UTF-8", len(s), MaxString)
			return false
		}
	case reflect.Pointer:
		if !v.IsNil() {
			ok = r.strings(v.Elem(), p)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			ok = r.strings(v.Field(i), p.To(name)) && ok
		}
	case reflect.Slice:
		for i := range v.Len() {
			ok = r.strings(v.Index(i), p) && ok
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if r.strings(key, p) {
				ok = r.strings(v.MapIndex(key), p.To(key.String())) && ok
			} else {
				ok = false
			}
		}
	}
	return ok
}

// containerNames finds two services of one container name: both would answer to
// it, and one could never start beside the other.
func (r *Report) containerNames(a *App) {
	holder := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(a.Services)) {
		c := strings.ToLower(a.Services[name].ContainerName)
		if c == "" {
			continue
		}
		if other, taken := holder[c]; taken {
			r.Problem(Path{"services", name, "container_name"}, "%s is the container_name of %s too", c, other)
		}
		holder[c] = name
	}
}

// hostPorts finds host ports that two published ports of the file want. Replicas
// of one service do not count: they go to different hosts.
func (r *Report) hostPorts(a *App) {
	type holder struct {
		service string
		ip      netip.Addr
	}
	holders := map[string][]holder{}
	for _, name := range slices.Sorted(maps.Keys(a.Services)) {
		for _, port := range a.Services[name].Ports {
			if port.Host == 0 || port.Last != 0 {
				continue // another will do
			}
			key := fmt.Sprintf("%d/%s", port.Host, port.Proto)
			ip, _ := netip.ParseAddr(port.HostIP)
			for _, h := range holders[key] {
				if h.ip == ip || anyAddress(h.ip) || anyAddress(ip) {
					r.Problem(Path{"services", name, "ports", fmt.Sprint(port.Host)}, "host port %s is published by %s too", key, h.service)
					break
				}
			}
			holders[key] = append(holders[key], holder{name, ip})
		}
	}
}

func anyAddress(ip netip.Addr) bool { return !ip.IsValid() || ip.IsUnspecified() }
