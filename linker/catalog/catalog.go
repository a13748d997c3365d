package catalog

import (
	"errors"
	"fmt"
	"sync"

	"tombolo/internal/wake"
	"tombolo/linker/record"
)

// ErrStale is returned for an app record that is not newer than the one known.
var ErrStale = errors.New("a newer version is known")

// Catalog is the replicated table of one host. Its methods are safe for
// concurrent use and never block for long.
//
// What is put in belongs to the catalog and to the snapshots that it gives out:
// nobody changes it afterwards.
type Catalog struct {
	owner   string
	changes wake.Broadcast

	mu      sync.Mutex
	epoch   uint64
	seq     uint64
	settled bool
	entries map[record.Key]*entry
	sums    map[string]uint64 // group -> sum of its live records' hashes
	outbox  outbox
	picture picture
}

// New returns an empty catalog of host owner. Epoch is larger than any that the
// host has stored, and not below the clock's (seconds since 1970): see Epoch.
func New(owner string, epoch uint64) *Catalog {
	return &Catalog{
		owner:   owner,
		epoch:   epoch,
		entries: map[record.Key]*entry{},
		sums:    map[string]uint64{},
		outbox:  outbox{queued: map[record.Key]bool{}},
		picture: newPicture(),
	}
}

// Epoch returns the epoch of this host's next record: the one given to New, or
// more when a peer remembered a larger one. The host stores it.
func (c *Catalog) Epoch() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

// Put takes in this host's own record (a host or an endpoint; Owner and Version
// are filled in here). It reports whether that changed anything; an error says
// what is wrong with r.
func (c *Catalog) Put(r record.Record) (changed bool, err error) {
	if r.Kind == record.KindApp || r.Deleted {
		return false, fmt.Errorf("put %s/%s: not a host's own record", r.Kind, r.Name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Owner = c.owner
	old := c.entries[r.Key]
	if old != nil && old.rec.Owner != c.owner {
		return false, fmt.Errorf("put %s/%s: it is owned by %s", r.Kind, r.Name, old.rec.Owner)
	}
	if old != nil && !old.rec.Deleted {
		r.Version = old.rec.Version
		if same, err := newEntry(r); err != nil {
			return false, fmt.Errorf("put: %w", err)
		} else if same.hash == old.hash {
			old.claimed = true
			return false, nil
		}
	}
	if err := c.issue(r); err != nil {
		return false, fmt.Errorf("put: %w", err)
	}
	return true, nil
}

// PutApp takes in an app record or its tombstone, versioned by the framework. It
// returns ErrStale when a newer one, or another of the same version, is known.
func (c *Catalog) PutApp(r record.Record) error {
	if r.Kind != record.KindApp {
		return fmt.Errorf("put app %s/%s: not an app's record", r.Kind, r.Name)
	}
	e, err := newEntry(r)
	if err != nil {
		return fmt.Errorf("put app: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.entries[r.Key]
	if old != nil && old.hash == e.hash {
		return nil
	}
	if old != nil && !old.rec.Version.Less(r.Version) {
		return fmt.Errorf("put app %s version %d.%d: %w: %d.%d", r.Name,
			r.Version.Epoch, r.Version.Seq, ErrStale, old.rec.Version.Epoch, old.rec.Version.Seq)
	}
	c.outbox.add(r.Key)
	c.store(e)
	return nil
}

// Delete removes this host's own record, leaving a tombstone. It reports whether
// there was one.
func (c *Catalog) Delete(key record.Key) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil || e.rec.Deleted || !c.owns(e.rec) {
		return false
	}
	c.bury(key)
	return true
}

// DeleteLeftovers says that every own record that still holds was Put since New. What
// peers remember of an earlier run and was not Put is deleted, now and from now
// on; before DeleteLeftovers it is kept, so that a restart takes nothing away.
func (c *Catalog) DeleteLeftovers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = true
	for key, e := range c.entries {
		if c.owns(e.rec) && !e.claimed && !e.rec.Deleted {
			c.bury(key)
		}
	}
}

// DrainOutbox returns, once, the records that peers are to be told because they
// changed here (Put, PutApp, Delete, DeleteLeftovers, or a peer's memory of an earlier
// run), in the order in which they did. Watch wakes for them.
func (c *Catalog) DrainOutbox() []record.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := c.outbox.drain()
	all := make([]record.Record, len(keys))
	for i, k := range keys {
		all[i] = c.entries[k].rec
	}
	return all
}

// Get returns the record of key as it is known, a tombstone included.
func (c *Catalog) Get(key record.Key) (record.Record, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		return e.rec, true
	}
	return record.Record{}, false
}

// owns reports whether this host is the only writer of r.
func (c *Catalog) owns(r record.Record) bool {
	return r.Kind != record.KindApp && r.Owner == c.owner
}

// issue stores r as this host's newest word on its key, and has it sent.
func (c *Catalog) issue(r record.Record) error {
	r.Version = record.Version{Epoch: c.epoch, Seq: c.seq + 1}
	e, err := newEntry(r)
	if err != nil {
		return err
	}
	c.seq++
	e.claimed = true
	c.outbox.add(r.Key)
	c.store(e)
	return nil
}

// bury issues a tombstone.
func (c *Catalog) bury(key record.Key) {
	if err := c.issue(record.Record{Key: key, Owner: c.owner, Deleted: true}); err != nil {
		panic(err) // the key was checked when its record came in
	}
}

// store makes e the entry of its key, and everything that derives from entries
// follow.
func (c *Catalog) store(e *entry) {
	key := e.rec.Key
	if old := c.entries[key]; old != nil {
		c.count(old, -1)
	}
	c.entries[key] = e
	c.count(e, +1)
	c.picture.set(e.rec)
	c.changes.Notify()
}

// count adds e to its group's sum or takes it off. Tombstones do not count: they
// are forgotten at different times on different hosts, which is no difference
// that anybody need repair.
func (c *Catalog) count(e *entry, sign int) {
	if e.rec.Deleted {
		return
	}
	g := group(e.rec)
	if c.sums[g] += e.hash * uint64(sign); c.sums[g] == 0 {
		delete(c.sums, g)
	}
}

// outbox is a queue of keys, each in it once.
type outbox struct {
	queued map[record.Key]bool
	order  []record.Key
}

func (o *outbox) add(k record.Key) {
	if !o.queued[k] {
		o.queued[k] = true
		o.order = append(o.order, k)
	}
}

func (o *outbox) drain() []record.Key {
	keys := o.order
	o.order = nil
	clear(o.queued)
	return keys
}
