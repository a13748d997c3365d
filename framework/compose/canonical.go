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

// Canonical is the App as a Compose file: everything in its long form, names in
// full, defaults left out. Loaded again, it makes an equal App.
func Canonical(a *app.App) ([]byte, error) { return yaml.Marshal(fileTree(a)) }

// CanonicalJSON is Canonical in JSON, which is a Compose file too.
func CanonicalJSON(a *app.App) ([]byte, error) {
	return json.MarshalIndent(fileTree(a), "", "  ")
}

// tree is a mapping of a Compose file.
type tree map[string]any

// set leaves out what is empty.
func set[V comparable](t tree, key string, v V) {
	var zero V
	if v != zero {
		t[key] = v
	}
}

func (t tree) list(key string, v []string) {
	if len(v) > 0 {
		t[key] = escapeAll(v)
	}
}

func (t tree) pairs(key string, v map[string]string) {
	if len(v) == 0 {
		return
	}
	pairs := tree{}
	for k, value := range v {
		pairs[k] = escape(value)
	}
	t[key] = pairs
}

func (t tree) below(key string, v tree) {
	if len(v) > 0 {
		t[key] = v
	}
}

func (t tree) duration(key string, d time.Duration) {
	if d != 0 {
		t[key] = d.String()
	}
}

// escape keeps a value from being interpolated when it is read again.
func escape(s string) string { return strings.ReplaceAll(s, "$", "$$") }

func escapeAll(list []string) []string {
	escaped := make([]string, len(list))
	for i, s := range list {
		escaped[i] = escape(s)
	}
	return escaped
}

func fileTree(a *app.App) tree {
	root := tree{"name": a.Name}
	if a.Strict {
		root[app.Extension] = tree{"isolation": "links"}
	}
	services := tree{}
	for name, s := range a.Services {
		services[name] = serviceTree(a, &s)
	}
	root["services"] = services
	root.below("networks", networkTree(a))
	volumes := tree{}
	for key, v := range a.Volumes {
		t := tree{"name": v.Name}
		set(t, "external", v.External)
		set(t, "driver", v.Driver)
		t.pairs("driver_opts", v.Options)
		t.pairs("labels", v.Labels)
		volumes[key] = t
	}
	root.below("volumes", volumes)
	return root
}

// networkTree names every network of a service. Those of a service without a way
// out are internal.
func networkTree(a *app.App) tree {
	networks := tree{}
	for _, s := range a.Services {
		for name := range s.Networks {
			t, ok := networks[name].(tree)
			if !ok {
				t = tree{"name": name}
			}
			set(t, "internal", s.Internal)
			networks[name] = t
		}
	}
	return networks
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
	t["volumes"] = mountTrees(a, s)
	if s.Health != nil {
		t.below("healthcheck", healthTree(s.Health))
	}
	t.deploy(s)
	t.flags(s)
	maps.DeleteFunc(t, func(_ string, v any) bool { list, ok := v.([]tree); return ok && len(list) == 0 })
	return t
}

// reachTree is what a service says of networks and other services.
func (t tree) reach(s *app.Service) {
	set(t, "network_mode", s.NetworkMode)
	networks := tree{}
	for name, aliases := range s.Networks {
		n := tree{}
		n.list("aliases", aliases)
		networks[name] = n
	}
	t.below("networks", networks)
	var links, external []string
	for _, l := range s.Links {
		text := l.Target()
		if l.Alias != "" {
			text += ":" + l.Alias
		}
		if l.App == "" {
			links = append(links, text)
		} else {
			external = append(external, text)
		}
	}
	t.list("links", links)
	t.list("external_links", external)
	depends := tree{}
	for name, d := range s.DependsOn {
		entry := tree{"condition": d.Condition, "required": !d.Optional}
		set(entry, "restart", d.Restart)
		depends[name] = entry
	}
	t.below("depends_on", depends)
	ours := tree{}
	if s.Export != nil {
		ours["export"] = true
		ours.list("export", s.Export.To)
	}
	if s.NeverReplace {
		ours["replace"] = "never"
	}
	t.below(app.Extension, ours)
}

func (t tree) ports(s *app.Service) {
	var ports []tree
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
		ports = append(ports, port)
		published[app.Expose{Number: p.Target, Proto: p.Proto}] = true
	}
	t["ports"] = ports
	var expose []string
	for _, e := range s.Expose {
		if !published[app.Expose{Number: e.Number, Proto: e.Proto}] {
			expose = append(expose, fmt.Sprintf("%d/%s", e.Number, e.Proto))
		}
	}
	t.list("expose", expose)
}

func mountTrees(a *app.App, s *app.Service) []tree {
	keys := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(a.Volumes)) {
		keys[a.Volumes[key].Name] = key
	}
	var mounts []tree
	for _, m := range s.Mounts {
		t := tree{"type": m.Type, "target": escape(m.Target)}
		set(t, "source", escape(m.Source))
		if key, ok := keys[m.Source]; ok && m.Type == app.MountVolume {
			t["source"] = key
		}
		set(t, "read_only", m.ReadOnly)
		t.below(m.Type, optionTree(m))
		mounts = append(mounts, t)
	}
	return mounts
}

// optionTree undoes mountOptions: "tmpfs-size" is size below tmpfs.
func optionTree(m app.Mount) tree {
	t, labels := tree{}, map[string]string{}
	for key, value := range m.Options {
		name := strings.TrimPrefix(key, m.Type+"-")
		label, isLabel := strings.CutPrefix(name, "label=")
		switch {
		case isLabel:
			labels[label] = value
		case name == "nocopy":
			t[name] = true
		case name == "mode":
			var mode uint32
			_, _ = fmt.Sscanf(value, "%o", &mode) // what is no mode is left out
			t[name] = mode
		default:
			t[name] = escape(value)
		}
	}
	t.pairs("labels", labels)
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
