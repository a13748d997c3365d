package catalog

import (
	"maps"

	"tombolo/linker/record"
)

// snapshotBuilder keeps the content of the next snapshot. It copies only the maps that
// changed since the last one.
type snapshotBuilder struct {
	next  record.Snapshot
	last  *record.Snapshot
	stale map[record.Kind]bool // kinds in which next differs from last; "" stands for Suspended
}

func newSnapshotBuilder() snapshotBuilder {
	return snapshotBuilder{
		next: record.Snapshot{
			Hosts:     map[string]*record.Host{},
			Endpoints: map[string]*record.Endpoint{},
			Apps:      map[string]*record.App{},
			Owners:    map[string]string{},
			Suspended: map[string]bool{},
		},
		last: &record.Snapshot{},
		stale: map[record.Kind]bool{
			record.KindHost: true, record.KindEndpoint: true, record.KindApp: true, "": true,
		},
	}
}

func (b *snapshotBuilder) set(r record.Record) {
	b.changed(r.Kind)
	switch r.Kind {
	case record.KindHost:
		setOrDelete(b.next.Hosts, r, r.Host)
	case record.KindEndpoint:
		setOrDelete(b.next.Endpoints, r, r.Endpoint)
	case record.KindApp:
		setOrDelete(b.next.Apps, r, r.App)
		setOrDelete(b.next.Owners, r, r.Owner)
	}
}

func setOrDelete[T any](m map[string]T, r record.Record, v T) {
	if r.Deleted {
		delete(m, r.Name)
		return
	}
	m[r.Name] = v
}

// suspend sets whether a host is suspended. It reports whether that is a change.
func (b *snapshotBuilder) suspend(host string, yes bool) bool {
	if b.next.Suspended[host] == yes {
		return false
	}
	if yes {
		b.next.Suspended[host] = true
	} else {
		delete(b.next.Suspended, host)
	}
	b.changed("")
	return true
}

func (b *snapshotBuilder) changed(k record.Kind) {
	b.next.Index++
	b.stale[k] = true
}

func (b *snapshotBuilder) build() *record.Snapshot {
	if len(b.stale) == 0 {
		return b.last
	}
	s := *b.last
	s.Index = b.next.Index
	if b.stale[record.KindHost] {
		s.Hosts = maps.Clone(b.next.Hosts)
	}
	if b.stale[record.KindEndpoint] {
		s.Endpoints = maps.Clone(b.next.Endpoints)
	}
	if b.stale[record.KindApp] {
		s.Apps, s.Owners = maps.Clone(b.next.Apps), maps.Clone(b.next.Owners)
	}
	if b.stale[""] {
		s.Suspended = maps.Clone(b.next.Suspended)
	}
	b.last = &s
	clear(b.stale)
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
	if c.snapshot.suspend(host, yes) {
		c.changes.Notify()
	}
}

// Snapshot returns the present content of the catalog. It is built once a change, by
// copying the maps that changed.
func (c *Catalog) Snapshot() *record.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshot.build()
}

// Watch tells of changes to the snapshot or the outbox, as wake.Broadcast.Watch does.
func (c *Catalog) Watch() (changes <-chan struct{}, cancel func()) { return c.changes.Watch() }
