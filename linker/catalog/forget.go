package catalog

import (
	"fmt"

	"tombolo/linker/record"
)

// Forget makes the records of a host void, here and on every host, for ever: they are removed,
// and refused when a peer or the host itself brings them again. It returns an error for this
// host itself.
func (c *Catalog) Forget(host, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if host == c.owner {
		return fmt.Errorf("forget %s: a host cannot forget itself", name)
	}
	r := record.Record{
		Key: record.Key{Kind: record.KindForgotten, Name: host}, Owner: c.owner, Forgotten: &record.Forgotten{Name: name},
	}
	if err := c.issue(r); err != nil {
		return fmt.Errorf("forget %s: %w", name, err)
	}
	return nil
}

// void reports whether r is the record of a forgotten host. The apps of a framework are not
// those of a host. What a forgotten host wrote about other forgotten ones stays valid, because
// otherwise these would come back with it.
func (c *Catalog) void(r record.Record) bool {
	return r.Kind != record.KindApp && r.Kind != record.KindForgotten && c.forgotten[r.Owner] && r.Owner != c.owner
}

// forget removes the records of a forgotten host. Those of this host stay until its linker has
// another identity.
func (c *Catalog) forget(host string) {
	c.forgotten[host] = true
	for ref, e := range c.entries {
		if !c.void(e.rec) {
			continue
		}
		c.addToSum(e, -1)
		c.usage.add(e, -1)
		delete(c.entries, ref)
		gone := e.rec
		gone.Deleted = true
		c.snapshot.set(gone)
	}
	c.snapshot.suspended.set(host, true, true)
}
