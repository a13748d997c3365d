package framework

import (
	"maps"
	"reflect"

	"tombolo/linker/record"
)

// catalogChange is what differs between two catalogs of a linker.
type catalogChange struct {
	hosts     bool               // hosts, or which of them are suspended, or whose labels cannot be read
	records   bool               // app records
	apps      map[string]bool    // the apps whose records or endpoints differ
	tasks     map[string]bool    // the tasks whose endpoints differ
	endpoints []*record.Endpoint // the new ones
}

// compareCatalogs returns what differs. Every part of a catalog is compared by its content,
// because a linker sends its whole catalog.
func compareCatalogs(before, after *record.Snapshot) catalogChange {
	c := catalogChange{apps: map[string]bool{}, tasks: map[string]bool{}}
	if before == nil {
		before = &record.Snapshot{}
		c.hosts, c.records = true, true
	}
	c.hosts = c.hosts || !maps.Equal(before.Suspended, after.Suspended) || !reflect.DeepEqual(before.Hosts, after.Hosts)
	for id, e := range after.Endpoints {
		old := before.Endpoints[id]
		if old != nil && reflect.DeepEqual(old, e) {
			continue
		}
		c.endpoints = append(c.endpoints, e)
		c.note(e)
		if old != nil {
			c.note(old)
		}
	}
	for id, e := range before.Endpoints {
		if after.Endpoints[id] == nil {
			c.note(e)
		}
	}
	for name, a := range after.Apps {
		if !reflect.DeepEqual(before.Apps[name], a) {
			c.apps[name], c.records = true, true
		}
	}
	for name := range before.Apps {
		if after.Apps[name] == nil {
			c.apps[name], c.records = true, true
		}
	}
	c.records = c.records || !maps.Equal(before.Owners, after.Owners)
	return c
}

func (c *catalogChange) note(e *record.Endpoint) {
	c.tasks[e.Task], c.apps[e.App] = true, true
	c.hosts = c.hosts || isShutOff(e)
}

// isShutOff reports whether an endpoint says that its linker cannot read the labels of its
// container (record.ShutOff). A stranger's internal container looks the same.
func isShutOff(e *record.Endpoint) bool { return e.Task == "" && e.App == "" && e.Internal }

// touchChanged marks the apps that a change of a catalog concerns, and those that link to them.
func (m *model) touchChanged(c catalogChange) {
	m.dirty.market = true // ports of containers that are no tasks may be free
	for id := range c.tasks {
		if t := m.tasks[id]; t != nil {
			m.touch(t.App)
		}
	}
	normal := map[string]bool{}
	for name := range c.apps {
		normal[record.Normal(name)] = true
		if m.apps[name] != nil {
			m.touch(name)
		}
	}
	for name := range m.index.linking {
		for _, s := range m.apps[name].Wanted.Services {
			for _, l := range s.Links {
				if l.App != "" && normal[record.Normal(l.App)] {
					m.touch(name)
				}
			}
		}
	}
}
