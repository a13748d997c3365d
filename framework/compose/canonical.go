package compose

import (
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

// set sets a key, unless the value is the zero value.
func set[V comparable](t tree, key string, v V) {
	var zero V
	if v != zero {
		t[key] = v
	}
}

func (t tree) list(key string, v []string) {
	if len(v) == 0 {
		return
	}
	escaped := make([]string, len(v))
	for i, s := range v {
		escaped[i] = escape(s)
	}
	t[key] = escaped
}

func (t tree) pairs(key string, v map[string]string) {
	for k, value := range v {
		t.in(key)[k] = escape(value)
	}
}

func (t tree) duration(key string, d time.Duration) {
	if d != 0 {
		t[key] = d.String()
	}
}

// below sets a key to a mapping, unless that is empty.
func (t tree) below(key string, v tree) {
	if len(v) > 0 {
		t[key] = v
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
	services, networks, volumes := tree{}, tree{}, tree{}
	t := tree{"name": a.Name, "services": services}
	if a.Strict {
		t[app.Extension] = tree{"isolation": "links"}
	}
	for name, s := range a.Services {
		services[name] = serviceTree(a, &s)
		for network := range s.Networks {
			networks.in(network)["name"] = network
			set(networks.in(network), "internal", s.Internal)
		}
	}
	t.below("networks", networks)
	for key, v := range a.Volumes {
		volume := tree{"name": v.Name}
		set(volume, "external", v.External)
		set(volume, "driver", v.Driver)
		volume.pairs("driver_opts", v.Options)
		volume.pairs("labels", v.Labels)
		volumes[key] = volume
	}
	t.below("volumes", volumes)
	return t
}

func serviceTree(a *app.App, s *app.Service) tree {
	t := tree{}
	set(t, "image", escape(s.Image))
	if s.Build != nil {
		t["build"] = buildTree(s.Build)
	}
	set(t, "pull_policy", s.PullPolicy)
	set(t, "container_name", s.ContainerName)
	set(t, "hostname", s.Hostname)
	t.list("entrypoint", s.Entrypoint)
	if s.ClearEntrypoint {
		t["entrypoint"] = []string{}
	}
	t.list("command", s.Command)
	t.pairs("environment", s.Environment)
	t.pairs("labels", s.Labels)
	set(t, "stop_signal", s.StopSignal)
	if s.StopGrace > 0 {
		t["stop_grace_period"] = s.StopGrace.Truncate(time.Microsecond).String()
	}
	t.reach(s)
	t.ports(s)
	t.mounts(a, s)
	if s.Health != nil {
		t.below("healthcheck", healthTree(s.Health))
	}
	t.deploy(s)
	t.flags(s)
	return t
}

// reach writes how the service reaches others, and they it.
func (t tree) reach(s *app.Service) {
	set(t, "network_mode", s.NetworkMode)
	for name, aliases := range s.Networks {
		t.in("networks").in(name).list("aliases", aliases)
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
		set(entry, "restart", d.Restart)
		t.in("depends_on")[name] = entry
	}
	extension := tree{}
	if s.Export != nil {
		extension["export"] = true
		extension.list("export", s.Export.To)
	}
	if s.NeverReplace {
		extension["replace"] = "never"
	}
	t.below(app.Extension, extension)
}

func (t tree) ports(s *app.Service) {
	published := map[app.Expose]bool{}
	for _, p := range s.Ports {
		port := tree{"target": p.Target, "protocol": p.Proto, "mode": "host"}
		switch {
		case p.Last != 0:
			port["published"] = fmt.Sprintf("%d-%d", p.Host, p.Last)
		case p.Host != 0:
			port["published"] = fmt.Sprint(p.Host)
		}
		set(port, "host_ip", p.HostIP)
		set(port, "name", p.Name)
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
		set(mount, "source", escape(m.Source))
		if key, ok := keys[m.Source]; ok && m.Type == app.MountVolume {
			mount["source"] = key
		}
		set(mount, "read_only", m.ReadOnly)
		mount.below(m.Type, optionTree(m))
		add(t, "volumes", mount)
	}
}

// optionTree is the reverse of mount: the option "tmpfs-size" is the key size below
// tmpfs.
func optionTree(m app.Mount) tree {
	t := tree{}
	for key, value := range m.Options {
		name := strings.TrimPrefix(key, m.Type+"-")
		label, isLabel := strings.CutPrefix(name, "label=")
		switch {
		case isLabel:
			t.in("labels")[label] = escape(value)
		case name == "nocopy":
			t[name] = true
		case name == "mode":
			var mode uint32
			_, _ = fmt.Sscanf(value, "%o", &mode) // 0 if it is not a number: nothing checks options
			t[name] = mode
		default:
			t[name] = escape(value)
		}
	}
	if m.Type == app.MountBind {
		t["create_host_path"] = m.Create
		set(t, "selinux", m.SELinux)
	}
	return t
}

func healthTree(h *app.Health) tree {
	t := tree{}
	t.list("test", h.Test)
	t.duration("interval", h.Interval)
	t.duration("timeout", h.Timeout)
	t.duration("start_period", h.StartPeriod)
	t.duration("start_interval", h.StartInterval)
	set(t, "retries", h.Retries)
	return t
}
