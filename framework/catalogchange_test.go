package framework

import (
	"maps"
	"slices"
	"testing"
	"time"

	"tombolo/framework/app"
	"tombolo/linker/record"
)

func TestACatalogTouchesWhatItTellsNewsOf(t *testing.T) {
	catalog := func(change func(*record.Snapshot)) *record.Snapshot {
		s := &record.Snapshot{
			Hosts:     map[string]*record.Host{"h1": {Name: "h1"}},
			Endpoints: map[string]*record.Endpoint{"1": {ID: "1", App: "a", Service: "web"}, "2": {ID: "2", Task: "of c", App: "foreign"}},
			Apps:      map[string]*record.App{"a": {Name: "a"}}, Owners: map[string]string{"a": "F"}, Suspended: map[string]bool{},
		}
		change(s)
		return s
	}
	for _, c := range []struct {
		name           string
		change         func(*record.Snapshot)
		touched        []string // apps: a, b, which links to a, and c
		hosts, records bool
	}{
		{name: "nothing", change: func(*record.Snapshot) {}},
		{name: "health", change: func(s *record.Snapshot) { s.Endpoints["1"].Health = record.HealthHealthy }, touched: []string{"a", "b"}},
		{name: "a container that has ended", change: func(s *record.Snapshot) { delete(s.Endpoints, "1") }, touched: []string{"a", "b"}},
		{name: "a task with labels of another app", change: func(s *record.Snapshot) { s.Endpoints["2"].Running = true }, touched: []string{"c"}},
		{name: "an app record", change: func(s *record.Snapshot) { s.Apps["a"].Revision++ }, touched: []string{"a", "b"}, records: true},
		{name: "an app record that is gone", change: func(s *record.Snapshot) { delete(s.Apps, "a") }, touched: []string{"a", "b"}, records: true},
		{name: "an owner", change: func(s *record.Snapshot) { s.Owners["a"] = "G" }, records: true},
		{name: "a host", change: func(s *record.Snapshot) { s.Hosts["h1"].MTU = 1400 }, hosts: true},
		{name: "a suspended host", change: func(s *record.Snapshot) { s.Suspended["h1"] = true }, hosts: true},
		{name: "labels that cannot be read", change: func(s *record.Snapshot) { s.Endpoints["3"] = &record.Endpoint{ID: "3", Internal: true} }, hosts: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel()
			m.putApp(app.App{Name: "a"}, time.Time{})
			m.putApp(app.App{Name: "b", Services: map[string]app.Service{"web": {Links: []app.Link{{App: "A", Service: "web"}}}}}, time.Time{})
			m.putApp(app.App{Name: "c"}, time.Time{})
			m.tasks["of c"] = &task{}
			m.tasks["of c"].App = "c"
			m.dirty = dirty{}
			change := compareCatalogs(catalog(func(*record.Snapshot) {}), catalog(c.change))
			m.touchChanged(change)
			if got := slices.Sorted(maps.Keys(m.dirty.apps)); !slices.Equal(got, c.touched) {
				t.Errorf("the apps %q are marked, want %q", got, c.touched)
			}
			if change.hosts != c.hosts || change.records != c.records {
				t.Errorf("hosts changed: %v, records: %v; want %v and %v", change.hosts, change.records, c.hosts, c.records)
			}
		})
	}
}
