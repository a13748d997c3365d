package catalog

import (
	"maps"

	"tombolo/linker/record"
)

// snapshotBuilder has the content of the next snapshot.
type snapshotBuilder struct {
	index     uint64
	hosts     table[*record.Host]
	endpoints table[*record.Endpoint]
	apps      table[*record.App]
	owners    table[string]
	forgotten table[string]
	suspended table[bool]
	last      *record.Snapshot // nil: something has changed since
}

// table is a map that is copied when it changes after a snapshot has shared it.
type table[V any] struct {
	rows   map[string]V // nil: empty
	shared bool
}

// set sets a row, or deletes it.
func (t *table[V]) set(name string, v V, deleted bool) {
	if t.shared {
		t.rows, t.shared = maps.Clone(t.rows), false
	}
	if deleted {
		delete(t.rows, name)
		return
	}
	if t.rows == nil {
		t.rows = map[string]V{}
	}
	t.rows[name] = v
}

// share returns the map for a snapshot.
func (t *table[V]) share() map[string]V {
	if t.rows == nil {
		t.rows = map[string]V{}
	}
	t.shared = true
	return t.rows
}

func (b *snapshotBuilder) set(r record.Record) {
	b.changed()
	switch r.Kind {
	case record.KindHost:
		b.hosts.set(r.Name, r.Host, r.Deleted)
	case record.KindEndpoint:
		b.endpoints.set(record.EndpointKey(r.Owner, r.Name), r.Endpoint, r.Deleted)
	case record.KindApp:
		b.apps.set(r.Name, r.App, r.Deleted)
		b.owners.set(r.Name, r.Owner, r.Deleted)
	case record.KindForgotten:
		if name, known := b.forgotten.rows[r.Name]; !known || r.Forgotten.Name < name { // several hosts may have written it
			b.forgotten.set(r.Name, r.Forgotten.Name, false)
		}
	}
}

func (b *snapshotBuilder) changed() { b.index, b.last = b.index+1, nil }

func (b *snapshotBuilder) build() *record.Snapshot {
	if b.last == nil {
		b.last = &record.Snapshot{
			Index: b.index, Hosts: b.hosts.share(), Endpoints: b.endpoints.share(),
			Apps: b.apps.share(), Owners: b.owners.share(), Forgotten: b.forgotten.share(), Suspended: b.suspended.share(),
		}
	}
	return b.last
}

// Suspend marks a host as thought dead. Its records stay, but names do not lead to
// them. This host itself is never suspended.
func (c *Catalog) Suspend(host string) {
	if host != c.owner {
		c.suspend(host, true)
	}
}

// Resume ends Suspend.
func (c *Catalog) Resume(host string) { c.suspend(host, false) }

func (c *Catalog) suspend(host string, yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.snapshot.suspended.rows[host] != yes {
		c.snapshot.suspended.set(host, true, !yes)
		c.snapshot.changed()
		c.changes.Notify()
	}
}

// Snapshot returns the present content of the catalog. It is built once a change, and
// shares the maps that did not change with the last one.
func (c *Catalog) Snapshot() *record.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshot.build()
}

// Watch tells of changes to the snapshot or the outbox, as wake.Broadcast.Watch does.
func (c *Catalog) Watch() (changes <-chan struct{}, cancel func()) { return c.changes.Watch() }
