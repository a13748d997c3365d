package reach_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"tombolo/linker/record"
)

// cluster builds snapshots in few words.
type cluster struct{ s *record.Snapshot }

func newCluster() cluster {
	return cluster{&record.Snapshot{
		Index: 7, Hosts: map[string]*record.Host{}, Endpoints: map[string]*record.Endpoint{},
		Apps: map[string]*record.App{}, Suspended: map[string]bool{},
	}}
}

// change changes the endpoint that add makes.
type change func(*record.Endpoint)

// add adds an endpoint with the ID id. It runs on h1, on the app's default network, with
// the next address. The identity is "app/service/slot", "app/service", "app" or "".
func (w cluster) add(id, identity string, changes ...change) cluster {
	parts := append(strings.Split(identity, "/"), "", "")
	e := &record.Endpoint{
		ID: id, Host: "h1", Container: "c-" + id, Running: true, Health: record.HealthNone,
		Addr4: netip.AddrFrom4([4]byte{100, 64, 0, byte(2 + len(w.s.Endpoints))}),
		App:   parts[0], Service: parts[1],
	}
	if parts[2] != "" {
		if _, err := fmt.Sscan(parts[2], &e.Slot); err != nil {
			panic(err)
		}
	}
	if e.App != "" {
		e.Networks = nets(e.App + "_default")
	}
	for _, c := range changes {
		c(e)
	}
	w.s.Endpoints[id] = e
	return w
}

func (w cluster) app(name string, strict bool, services map[string]record.Service) cluster {
	w.s.Apps[name] = &record.App{Name: name, Strict: strict, Services: services}
	return w
}

func (w cluster) suspend(host string) cluster { w.s.Suspended[host] = true; return w }

// nets parses networks: "a_default", "a_back:alias,other".
func nets(specs ...string) map[string][]string {
	m := map[string][]string{}
	for _, s := range specs {
		name, aliases, has := strings.Cut(s, ":")
		m[name] = nil
		if has {
			m[name] = strings.Split(aliases, ",")
		}
	}
	return m
}

// link parses "service", "service:alias", "app.service:alias".
func link(s string) record.Link {
	to, alias, _ := strings.Cut(s, ":")
	app, service, cross := strings.Cut(to, ".")
	if !cross {
		app, service = "", to
	}
	return record.Link{App: app, Service: service, Alias: alias}
}

func on(specs ...string) change { return func(e *record.Endpoint) { e.Networks = nets(specs...) } }

func links(specs ...string) change {
	return func(e *record.Endpoint) {
		for _, s := range specs {
			e.Links = append(e.Links, link(s))
		}
	}
}

func export(to ...string) change {
	return func(e *record.Endpoint) { e.Export = &record.Export{To: to} }
}

func tcp(numbers ...uint16) []record.Port {
	var ports []record.Port
	for _, n := range numbers {
		ports = append(ports, record.Port{Number: n, Proto: "tcp"})
	}
	return ports
}

func ports(numbers ...uint16) change {
	return func(e *record.Endpoint) { e.Ports = tcp(numbers...) }
}

func strict(e *record.Endpoint)    { e.Strict = true }
func stopped(e *record.Endpoint)   { e.Running = false }
func unhealthy(e *record.Endpoint) { e.Health = record.HealthUnhealthy }
func starting(e *record.Endpoint)  { e.Health = record.HealthStarting }
func healthy(e *record.Endpoint)   { e.Health = record.HealthHealthy }

func gen(n uint64) change     { return func(e *record.Endpoint) { e.Generation = n } }
func host(name string) change { return func(e *record.Endpoint) { e.Host = name } }
func named(name string) change {
	return func(e *record.Endpoint) { e.ContainerName = name }
}
func hostname(name string) change {
	return func(e *record.Endpoint) { e.Hostname = name }
}

// container gives the endpoint's container an ID of 64 digits, which begins with prefix.
func container(prefix string) change {
	return func(e *record.Endpoint) { e.Container = prefix + strings.Repeat("0", 64-len(prefix)) }
}

// show formats each listed name of a view as "db -> e1 e2", with the IDs of endpoints.
func show(s *record.Snapshot, v record.View) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(v.Names)) {
		lines = append(lines, name+leads(s, v.Names[name]))
	}
	return lines
}

// leads formats the targets of a name as " -> e1 e2", with the IDs of endpoints.
func leads(s *record.Snapshot, a record.Answers) string {
	ids := map[netip.Addr]string{}
	for id, e := range s.Endpoints {
		ids[e.Addr4] = id
	}
	line := " ->"
	for _, t := range a.Targets {
		if id, ok := ids[t.Addr4]; ok {
			line += " " + id
		} else {
			line += " " + t.Addr4.String()
		}
	}
	return line
}

// ask formats what a view knows of a name without the zone's suffix.
func ask(s *record.Snapshot, v record.View, name string) string {
	a, ok := v.Bare(name)
	switch {
	case ok:
		return name + leads(s, a)
	case v.Ours(name):
		return name + " does not exist"
	}
	return name + " is forwarded"
}

// short keeps the names without a dot.
func short(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool {
		name, _, _ := strings.Cut(l, " ")
		return strings.Contains(name, ".")
	})
}
