package catalog

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"tombolo/linker/record"
)

// entry is a record and its bookkeeping.
type entry struct {
	rec    record.Record
	wire   []byte    // as its writer encoded it, with the fields that only newer versions know
	hash   uint64    // of wire: records with equal hashes are taken as equal
	issued bool      // this host's own, Put or deleted since New
	seen   time.Time // of a tombstone: when DropOldTombstones first saw it; zero: not yet
}

// newEntry returns the entry of a record that this host encodes.
func newEntry(r record.Record) (*entry, error) {
	wire, err := record.Encode(r)
	if err != nil {
		return nil, err
	}
	return receivedEntry(r, wire), nil
}

// receivedEntry returns the entry of a record that was encoded as wire.
func receivedEntry(r record.Record, wire []byte) *entry {
	h := fnv.New64a()
	h.Write(wire)
	return &entry{rec: r, wire: wire, hash: mix(h.Sum64())}
}

// mix is the finaliser of splitmix64. With its help, different sets of records have
// different sums of hashes.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// newer reports whether a replaces b. It is a total order on the records of one ref,
// which makes the merge commutative, associative and idempotent: the larger version
// wins. If two writers gave the same version, which should not happen, a tombstone wins,
// and otherwise the larger encoding.
func newer(a, b *entry) bool {
	switch {
	case a.rec.Version != b.rec.Version:
		return b.rec.Version.Less(a.rec.Version)
	case a.hash == b.hash:
		return false
	case a.rec.Deleted != b.rec.Deleted:
		return a.rec.Deleted
	}
	return bytes.Compare(a.wire, b.wire) > 0
}

// Merge merges the packet of a record from a peer. It returns the record's Packet.Key if
// the catalog changed, else "". It returns an error if the packet holds no record or one
// that does not pass Check. It keeps no reference to packet.
func (c *Catalog) Merge(packet []byte) (news string, err error) {
	r, err := record.Decode(packet)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.merge(r, packet) {
		return "", nil
	}
	return refOf(r).packetKey(), nil
}

func (c *Catalog) merge(r record.Record, packet []byte) (changed bool) {
	old := c.entries[refOf(r)]
	if old != nil && r.Version.Less(old.rec.Version) {
		return false
	}
	if c.void(r) {
		return false
	}
	if c.owns(r) && r.Version.Epoch >= record.MaxEpoch {
		return false // forged: this host could not issue a later epoch
	}
	e := receivedEntry(r, bytes.Clone(packet))
	if old != nil && !newer(e, old) {
		return false
	}
	if err := c.usage.check(e, old); err != nil {
		c.usage.refuse(e, err)
		return false
	}
	if c.owns(r) {
		return c.mergeOwn(e, old)
	}
	c.store(e)
	return true
}

// mergeOwn merges a record of this host that is newer than the known one (old, or nil).
// A peer remembers it of an earlier run whose state this host has lost. The result
// depends on what this run did with the record:
//
//	Put                    issued again with a larger version
//	not Put, incomplete    kept, because it may still be Put
//	not Put, complete      deleted by a tombstone with a larger version
func (c *Catalog) mergeOwn(e, old *entry) (changed bool) {
	v := e.rec.Version
	if own := (record.Version{Epoch: c.epoch, Seq: c.seq}); own.Less(v) {
		c.epoch, c.seq = v.Epoch+1, 0
	}
	switch {
	case old != nil && old.issued:
		if err := c.issue(old.rec); err != nil {
			panic(err) // it was issued before
		}
		return false
	case c.complete && !e.rec.Deleted && e.rec.Kind != record.KindForgotten:
		if old == nil && c.usage.tombstones >= MaxTombstones {
			c.usage.refuse(e, fmt.Errorf("%w: %d tombstones", ErrLimit, MaxTombstones))
			return false
		}
		c.issueTombstone(refOf(e.rec))
		return false
	}
	c.store(e)
	return true
}

// DropOldTombstones removes the tombstones of hosts and endpoints that an earlier call
// saw at least retention ago. If a peer still brings a record that was deleted so long
// ago, its host deletes it again. No host would do that for an app, so the tombstones
// of apps stay; only the oldest beyond MaxTombstones are removed.
func (c *Catalog) DropOldTombstones(now time.Time, retention time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var own, apps []ref // hosts and endpoints; apps
	for ref, e := range c.entries {
		switch {
		case !e.rec.Deleted:
			continue
		case e.seen.IsZero():
			e.seen = now
		}
		switch {
		case ref.Kind == record.KindApp:
			apps = append(apps, ref)
		case now.Sub(e.seen) >= retention:
			c.drop(ref)
		default:
			own = append(own, ref)
		}
	}
	c.dropOldest(own)
	c.dropOldest(apps)
}

// trimTombstones removes those beyond MaxTombstones, once there are a tenth more: it looks
// at every record.
func (c *Catalog) trimTombstones() {
	if max(c.usage.tombstones, c.usage.tombstonesOfApps) <= MaxTombstones+MaxTombstones/10 {
		return
	}
	var own, apps []ref
	for ref, e := range c.entries {
		switch {
		case !e.rec.Deleted:
		case ref.Kind == record.KindApp:
			apps = append(apps, ref)
		default:
			own = append(own, ref)
		}
	}
	c.dropOldest(own)
	c.dropOldest(apps)
}

// dropOldest keeps MaxTombstones of refs.
func (c *Catalog) dropOldest(refs []ref) {
	if len(refs) <= MaxTombstones {
		return
	}
	slices.SortFunc(refs, func(a, b ref) int {
		return c.entries[a].seen.Compare(c.entries[b].seen)
	})
	for _, k := range refs[:len(refs)-MaxTombstones] {
		c.drop(k)
	}
}

// drop removes a tombstone, unless it has not been sent to the peers yet.
func (c *Catalog) drop(ref ref) {
	if !c.outbox.queued[ref] {
		c.usage.add(c.entries[ref], -1)
		delete(c.entries, ref)
	}
}
