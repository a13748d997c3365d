package compose

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"tombolo/framework/app"
)

// Canonical returns an App as a Compose file in long form, with full names and without
// defaults. Load makes an equal App of it.
func Canonical(a *app.App) ([]byte, error) { return yaml.Marshal(fileTree(a)) }

// CanonicalJSON is Canonical in JSON, which is YAML, too.
func CanonicalJSON(a *app.App) ([]byte, error) {
	return json.MarshalIndent(fileTree(a), "", "  ")
}

// tree is a mapping of a Compose file.
type tree map[string]any

// set sets the key at a path of keys, unless the value is the zero value.
func set[V comparable](t tree, v V, path ...string) {
	var zero V
	if v == zero {
		return
	}
	for _, key := range path[:len(path)-1] {
		t = t.in(key)
	}
	t[path[len(path)-1]] = v
}

func (t tree) list(key string, v []string) {
	for _, s := range v {
		add(t, key, escape(s))
	}
}

func (t tree) pairs(key string, v map[string]string) {
	for k, value := range v {
		t.in(key)[k] = escape(value)
	}
}

// in returns the mapping at a key, and makes it if there is none.
func (t tree) in(key string) tree {
	below, ok := t[key].(tree)
	if !ok {
		below = tree{}
		t[key] = below
	}
	return below
}

// add appends an item to the list at a key.
func add[V any](t tree, key string, item V) {
	list, _ := t[key].([]V)
	t[key] = append(list, item)
}

// escape keeps Load from taking a $ for a variable.
func escape(s string) string { return strings.ReplaceAll(s, "$", "$$") }

func fileTree(a *app.App) tree {
	t := tree{"name": a.Name}
	if a.Strict {
		t.in(app.Extension)["isolation"] = "links"
	}
	services := t.in("services")
	for name, s := range a.Services {
		services[name] = serviceTree(a, &s)
		for network := range s.Networks {
			set(t, network, "networks", network, "name")
			set(t, s.Internal, "networks", network, "internal")
		}
	}
	for key, v := range a.Volumes {
		volume := t.in("volumes").in(key)
		volume["name"] = v.Name
		set(volume, v.External, "external")
		set(volume, v.Driver, "driver")
		volume.pairs("driver_opts", v.Options)
		volume.pairs("labels", v.Labels)
	}
	return t
}

func serviceTree(a *app.App, s *app.Service) tree {
	t := tree{}
	set(t, escape(s.Image), "image")
	if s.Build != nil {
		t["build"] = buildTree(s.Build)
	}
	set(t, s.PullPolicy, "pull_policy")
	set(t, s.ContainerName, "container_name")
	set(t, s.Hostname, "hostname")
	t.list("entrypoint", s.Entrypoint)
	if s.ClearEntrypoint {
		t["entrypoint"] = []string{}
	}
	t.list("command", s.Command)
	t.pairs("environment", s.Environment)
	t.pairs("labels", s.Labels)
	set(t, s.StopSignal, "stop_signal")
	if s.StopGrace > 0 {
		t["stop_grace_period"] = s.StopGrace.Truncate(time.Microsecond).String()
	}
	t.reach(s)
	t.ports(s)
	t.mounts(a, s)
	if s.Health != nil {
		t.health(s.Health)
	}
	t.deploy(s)
	t.flags(s)
	return t
}

// reach writes how the service reaches others, and they it.
func (t tree) reach(s *app.Service) {
	set(t, s.NetworkMode, "network_mode")
	for name, aliases := range s.Networks {
		at := t.in("networks").in(name)
		at.list("aliases", aliases)
		set(at, s.Interface, "interface_name")
	}
	for _, l := range s.Links {
		key, text := "links", l.Target()
		if l.App != "" {
			key = "external_links"
		}
		if l.Alias != "" {
			text += ":" + l.Alias
		}
		add(t, key, text)
	}
	for name, d := range s.DependsOn {
		entry := tree{"condition": d.Condition, "required": !d.Optional}
		set(entry, d.Restart, "restart")
		t.in("depends_on")[name] = entry
	}
	if s.Export != nil && len(s.Export.To) == 0 {
		t.in(app.Extension)["export"] = true
	} else if s.Export != nil {
		t.in(app.Extension).list("export", s.Export.To)
	}
	if s.NeverReplace {
		t.in(app.Extension)["replace"] = "never"
	}
}

func (t tree) ports(s *app.Service) {
	published := map[app.Expose]bool{}
	for _, p := range s.Ports {
		port := tree{"target": p.Target, "protocol": p.Proto, "mode": cmp.Or(p.Mode, "host")}
		switch {
		case p.Last != 0:
			port["published"] = fmt.Sprintf("%d-%d", p.Host, p.Last)
		case p.Host != 0:
			port["published"] = fmt.Sprint(p.Host)
		}
		set(port, p.HostIP, "host_ip")
		set(port, p.Name, "name")
		add(t, "ports", port)
		published[app.Expose{Number: p.Target, Proto: p.Proto}] = true
	}
	for _, e := range s.Expose {
		if !published[app.Expose{Number: e.Number, Proto: e.Proto}] {
			add(t, "expose", fmt.Sprintf("%d/%s", e.Number, e.Proto))
		}
	}
}

func (t tree) mounts(a *app.App, s *app.Service) {
	keys := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(a.Volumes)) {
		keys[a.Volumes[key].Name] = key
	}
	for _, m := range s.Mounts {
		mount := tree{"type": m.Type, "target": escape(m.Target)}
		set(mount, escape(m.Source), "source")
		if key, ok := keys[m.Source]; ok && m.Type == app.MountVolume {
			mount["source"] = key
		}
		set(mount, m.ReadOnly, "read_only")
		mount.options(m)
		add(t, "volumes", mount)
	}
}

// options is the reverse of mount in mount.go: the option "tmpfs-size" is the key size
// below tmpfs.
func (t tree) options(m app.Mount) {
	for key, value := range m.Options {
		name := strings.TrimPrefix(key, m.Type+"-")
		label, isLabel := strings.CutPrefix(name, "label=")
		switch options := t.in(m.Type); {
		case isLabel:
			options.in("labels")[label] = escape(value)
		case name == "nocopy":
			options[name] = true
		case name == "mode":
			var mode uint32
			_, _ = fmt.Sscanf(value, "%o", &mode) // 0 if it is not a number: nothing checks options
			options[name] = mode
		default:
			options[name] = escape(value)
		}
	}
	if m.Type == app.MountBind {
		t.in(m.Type)["create_host_path"] = m.Create
		set(t, m.SELinux, m.Type, "selinux")
	}
}

func (t tree) health(h *app.Health) {
	check := tree{}
	check.list("test", h.Test)
	set(check, period(h.Interval), "interval")
	set(check, period(h.Timeout), "timeout")
	set(check, period(h.StartPeriod), "start_period")
	set(check, period(h.StartInterval), "start_interval")
	set(check, h.Retries, "retries")
	if len(check) > 0 {
		t["healthcheck"] = check
	}
}
