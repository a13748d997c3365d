package catalog

import (
	"bytes"
	"fmt"
	"sync"

	"tombolo/internal/wake"
	"tombolo/linker/record"
)

// Catalog is the replicated table as one host has it. Its methods are safe for
// concurrent use and do not block.
//
// A record that is put in becomes part of the catalog and of its snapshots. Nobody may
// change it afterwards.
type Catalog struct {
	owner   string // this host's name
	changes wake.Broadcast

	mu        sync.Mutex
	epoch     uint64
	seq       uint64
	complete  bool // DeleteLeftovers was called
	entries   map[ref]*entry
	forgotten map[string]bool   // hosts whose records are void
	sums      map[string]uint64 // digest group -> sum of the hashes of its records that are not deleted
	usage     usage
	compared  comparison
	outbox    outbox
	snapshot  snapshotBuilder
}

// New returns an empty catalog of the host owner. The epoch must be larger than every
// epoch that the host has stored, and not below the clock's (seconds since 1970); see
// Epoch.
func New(owner string, epoch uint64) *Catalog {
	return &Catalog{
		owner:     owner,
		epoch:     epoch,
		entries:   map[ref]*entry{},
		forgotten: map[string]bool{},
		sums:      map[string]uint64{},
		usage:     newUsage(),
		outbox:    outbox{queued: map[ref]bool{}},
	}
}

// Epoch returns the epoch of this host's next record, which the host stores. It is the
// epoch given to New, or a larger one that a peer remembered.
func (c *Catalog) Epoch() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

// Put stores a record of this host (a host or an endpoint) and sets its Owner and
// Version. It reports whether the catalog changed. It returns an error if r does not
// pass Check or belongs to another host.
func (c *Catalog) Put(r record.Record) (changed bool, err error) {
	if r.Kind != record.KindHost && r.Kind != record.KindEndpoint || r.Deleted {
		return false, fmt.Errorf("put %s/%s: not a host's own record", r.Kind, r.Name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Owner = c.owner
	old := c.entries[refOf(r)]
	if old != nil && !old.rec.Deleted {
		r.Version = old.rec.Version
		if same, err := newEntry(r); err != nil {
			return false, fmt.Errorf("put: %w", err)
		} else if same.hash == old.hash {
			old.issued = true
			return false, nil
		}
	}
	if err := c.issue(r); err != nil {
		return false, fmt.Errorf("put: %w", err)
	}
	return true, nil
}

// Repeat sends a record of this host to the peers again, with a new version, so that each of
// them passes it on. It does nothing if there is no such record.
func (c *Catalog) Repeat(key record.Key) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[ref{key, c.owner}]
	if e == nil || e.rec.Deleted {
		return nil
	}
	if err := c.issue(e.rec); err != nil {
		return fmt.Errorf("repeat: %w", err)
	}
	return nil
}

// PutApp stores the packet of an app record or of its tombstone, whose version the
// framework has set. The packet is passed on as it is, with fields that only a newer
// framework knows. PutApp returns record.ErrStale if a newer record, or another one of the
// same version, is known. It keeps no reference to packet.
func (c *Catalog) PutApp(packet []byte) error {
	r, err := record.Decode(packet)
	if err != nil {
		return fmt.Errorf("put app: %w", err)
	}
	if r.Kind != record.KindApp {
		return fmt.Errorf("put app %s/%s: not an app's record", r.Kind, r.Name)
	}
	e := receivedEntry(r, bytes.Clone(packet))
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.entries[refOf(r)]
	if old != nil && old.hash == e.hash {
		return nil
	}
	if old != nil && !old.rec.Version.Less(r.Version) {
		return fmt.Errorf("put app %s version %d.%d: %w: %d.%d", r.Name,
			r.Version.Epoch, r.Version.Seq, record.ErrStale, old.rec.Version.Epoch, old.rec.Version.Seq)
	}
	if err := c.usage.check(e, old); err != nil {
		return fmt.Errorf("put app %s: %w", r.Name, err)
	}
	c.outbox.add(refOf(r))
	c.store(e)
	return nil
}

// Delete replaces a record of this host by a tombstone. It reports whether there was
// such a record.
func (c *Catalog) Delete(key record.Key) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := ref{key, c.owner}
	if e := c.entries[own]; e == nil || e.rec.Deleted {
		return false
	}
	c.issueTombstone(own)
	return true
}

// DeleteLeftovers tells the catalog that all present records of this host have been
// Put since New. It deletes the others, which peers remember of an earlier run, and
// from now on deletes each that a peer still brings. Until this call they are kept, so
// that the restart of a linker takes nothing away.
func (c *Catalog) DeleteLeftovers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complete = true
	for ref, e := range c.entries {
		if c.owns(e.rec) && !e.issued && !e.rec.Deleted && ref.Kind != record.KindForgotten {
			c.issueTombstone(ref)
		}
	}
}

// Packet is an encoded record on its way to the peers.
type Packet struct {
	Key  string // a newer packet replaces one with the same key that has not been sent yet
	Wire []byte
}

// DrainOutbox returns the records that changed on this host since the last call, in the
// order of their first change. The caller sends them to the peers. Watch tells of them.
func (c *Catalog) DrainOutbox() []Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	refs := c.outbox.drain()
	all := make([]Packet, 0, len(refs))
	for _, k := range refs {
		if e := c.entries[k]; e != nil { // nil: its host was forgotten meanwhile
			all = append(all, Packet{Key: k.packetKey(), Wire: e.wire})
		}
	}
	return all
}

// ref names an entry. It includes the owner, so that no host can replace the record of
// another one by using its name, whatever version it gives to its own record.
type ref struct {
	record.Key
	owner string // "" for an app: the next framework continues the records of the last one
}

func refOf(r record.Record) ref {
	if r.Kind == record.KindApp {
		return ref{Key: r.Key}
	}
	return ref{r.Key, r.Owner}
}

func (r ref) packetKey() string { return string(r.Kind) + "/" + r.owner + "/" + r.Name }

// Get returns the record of key that owner wrote, which may be a tombstone. The owner of an
// app's record does not matter.
func (c *Catalog) Get(key record.Key, owner string) (record.Record, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[refOf(record.Record{Key: key, Owner: owner})]; e != nil {
		return e.rec, true
	}
	return record.Record{}, false
}

// owns reports whether this host is the only writer of r.
func (c *Catalog) owns(r record.Record) bool {
	return r.Kind != record.KindApp && r.Owner == c.owner
}

// issue stores r with this host's next version and queues it for the peers.
func (c *Catalog) issue(r record.Record) error {
	r.Version = record.Version{Epoch: c.epoch, Seq: c.seq + 1}
	e, err := newEntry(r)
	if err != nil {
		return err
	}
	c.seq++
	e.issued = true
	c.outbox.add(refOf(r))
	c.store(e)
	return nil
}

func (c *Catalog) issueTombstone(own ref) {
	if err := c.issue(record.Record{Key: own.Key, Owner: c.owner, Deleted: true}); err != nil {
		panic(err) // the key passed Check when its record was stored
	}
}

// store makes e the entry of its key and updates everything that derives from entries.
func (c *Catalog) store(e *entry) {
	ref := refOf(e.rec)
	if old := c.entries[ref]; old != nil {
		c.addToSum(old, -1)
		c.usage.add(old, -1)
	}
	c.entries[ref] = e
	c.addToSum(e, +1)
	c.usage.add(e, +1)
	c.trimTombstones()
	c.snapshot.set(e.rec)
	if e.rec.Forgotten != nil {
		c.forget(ref.Name)
	}
	c.changes.Notify()
}

// addToSum adds the hash of e to the sum of its group, or subtracts it. Tombstones do
// not count: hosts forget them at different times, and that difference needs no repair.
func (c *Catalog) addToSum(e *entry, sign int) {
	if e.rec.Deleted {
		return
	}
	g := group(e.rec)
	if c.sums[g] += e.hash * uint64(sign); c.sums[g] == 0 {
		delete(c.sums, g)
	}
}

// outbox is a queue of the names of records that changed here. It holds each one once.
type outbox struct {
	queued map[ref]bool
	order  []ref
}

func (o *outbox) add(k ref) {
	if !o.queued[k] {
		o.queued[k] = true
		o.order = append(o.order, k)
	}
}

func (o *outbox) drain() []ref {
	refs := o.order
	o.order = nil
	clear(o.queued)
	return refs
}
