package catalog

import (
	"maps"

	"tombolo/linker/record"
)

// picture keeps what the next snapshot shows, and copies only what changed since
// the last one.
type picture struct {
	now   record.Snapshot
	last  *record.Snapshot
	stale map[record.Kind]bool // kinds that differ from last's; "" stands for Suspended
}

func newPicture() picture {
	return picture{
		now: record.Snapshot{
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

func (p *picture) set(r record.Record) {
	p.now.Index++
	p.stale[r.Kind] = true
	switch r.Kind {
	case record.KindHost:
		show(p.now.Hosts, r, r.Host)
	case record.KindEndpoint:
		show(p.now.Endpoints, r, r.Endpoint)
	case record.KindApp:
		show(p.now.Apps, r, r.App)
		if p.now.Owners[r.Name] = r.Owner; r.Deleted {
			delete(p.now.Owners, r.Name)
		}
	}
}

func show[T any](m map[string]*T, r record.Record, v *T) {
	if r.Deleted {
		delete(m, r.Name)
		return
	}
	m[r.Name] = v
}

func (p *picture) suspend(host string, yes bool) (changed bool) {
	if p.now.Suspended[host] == yes {
		return false
	}
	if yes {
		p.now.Suspended[host] = true
	} else {
		delete(p.now.Suspended, host)
	}
	p.now.Index++
	p.stale[""] = true
	return true
}

func (p *picture) snapshot() *record.Snapshot {
	if len(p.stale) == 0 {
		return p.last
	}
	s := *p.last
	s.Index = p.now.Index
	if p.stale[record.KindHost] {
		s.Hosts = maps.Clone(p.now.Hosts)
	}
	if p.stale[record.KindEndpoint] {
		s.Endpoints = maps.Clone(p.now.Endpoints)
	}
	if p.stale[record.KindApp] {
		s.Apps, s.Owners = maps.Clone(p.now.Apps), maps.Clone(p.now.Owners)
	}
	if p.stale[""] {
		s.Suspended = maps.Clone(p.now.Suspended)
	}
	p.last = &s
	clear(p.stale)
	return p.last
}

// Suspend marks a host as thought dead: its records stay and answer nothing. This
// host itself is never suspended.
func (c *Catalog) Suspend(host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if host != c.owner && c.picture.suspend(host, true) {
		c.changes.Notify()
	}
}

// Resume ends Suspend.
func (c *Catalog) Resume(host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.picture.suspend(host, false) {
		c.changes.Notify()
	}
}

// Snapshot returns the present picture. It is computed once per change, by
// copying the maps that changed.
func (c *Catalog) Snapshot() *record.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.picture.snapshot()
}

// Watch tells of changes to the snapshot or the outbox, as wake.Broadcast.Watch does.
func (c *Catalog) Watch() (changes <-chan struct{}, cancel func()) { return c.changes.Watch() }
