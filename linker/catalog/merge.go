package catalog

import (
	"bytes"
	"hash/fnv"
	"slices"
	"time"

	"tombolo/linker/record"
)

// entry is what the catalog keeps of one key.
type entry struct {
	rec     record.Record
	hash    uint64    // of the encoded record: equal hashes are equal records
	claimed bool      // this host's own, issued since New
	buried  time.Time // of a tombstone: when DropOldTombstones first saw it
}

func newEntry(r record.Record) (*entry, error) {
	b, err := record.Encode(r)
	if err != nil {
		return nil, err
	}
	h := fnv.New64a()
	h.Write(b)
	return &entry{rec: r, hash: spread(h.Sum64())}, nil
}

// spread mixes the bits (the finaliser of splitmix64), so that sums of hashes
// differ where sets of records do.
func spread(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// newer reports whether a replaces b. It is a total order on records of one key,
// which makes the merge commutative, associative and idempotent: the larger
// version; where two writers gave the same version (which should not happen), a
// tombstone, and then the larger encoding.
func newer(a, b *entry) bool {
	switch {
	case a.rec.Version != b.rec.Version:
		return b.rec.Version.Less(a.rec.Version)
	case a.hash == b.hash:
		return false
	case a.rec.Deleted != b.rec.Deleted:
		return a.rec.Deleted
	}
	return bytes.Compare(encoded(a), encoded(b)) > 0
}

func encoded(e *entry) []byte {
	b, err := record.Encode(e.rec)
	if err != nil {
		panic(err) // newEntry encoded the same record
	}
	return b
}

// Merge takes in a record from a peer and reports whether that changed anything.
// A record that does not pass Check changes nothing.
func (c *Catalog) Merge(r record.Record) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.entries[r.Key]
	if old != nil && r.Version.Less(old.rec.Version) {
		return false
	}
	if c.owns(r) && r.Version.Epoch >= record.MaxEpoch {
		return false // forged: no later epoch could be issued
	}
	e, err := newEntry(r)
	if err != nil {
		return false
	}
	if old != nil && !newer(e, old) {
		return false
	}
	if c.owns(r) {
		return c.remember(e, old)
	}
	if old != nil && c.owns(old.rec) {
		return false // nobody else writes this host's records
	}
	c.store(e)
	return true
}

// remember deals with what a peer remembers of this host and this host does not
// know: it comes from an earlier run whose state was lost.
//
//	            Put since New            not Put, not settled      not Put, settled
//	old or      our word again, with     kept: it may hold         a tombstone with a
//	no entry    a larger version         still                     larger version
func (c *Catalog) remember(e, old *entry) (changed bool) {
	v := e.rec.Version
	if own := (record.Version{Epoch: c.epoch, Seq: c.seq}); own.Less(v) {
		c.epoch, c.seq = v.Epoch+1, 0
	}
	switch {
	case old != nil && old.claimed:
		if err := c.issue(old.rec); err != nil {
			panic(err) // it was issued before
		}
		return false
	case c.settled && !e.rec.Deleted:
		c.bury(e.rec.Key)
		return false
	}
	c.store(e)
	return true
}

// maxTombstones bounds those of hosts and endpoints, and those of apps, each.
const maxTombstones = 100_000

// DropOldTombstones drops tombstones of hosts and endpoints older than retention, by when
// DropOldTombstones first saw them. A host that still meets a record that it deleted so
// long ago deletes it again. Nobody would do that for an app: tombstones of apps
// stay, but for the oldest beyond a number that is never reached.
func (c *Catalog) DropOldTombstones(now time.Time, retention time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var own, apps []record.Key // hosts and what they own; apps
	for key, e := range c.entries {
		switch {
		case !e.rec.Deleted:
			continue
		case e.buried.IsZero():
			e.buried = now
		}
		switch {
		case key.Kind == record.KindApp:
			apps = append(apps, key)
		case now.Sub(e.buried) >= retention:
			c.drop(key)
		default:
			own = append(own, key)
		}
	}
	c.dropOldest(own, maxTombstones)
	c.dropOldest(apps, maxTombstones)
}

func (c *Catalog) dropOldest(keys []record.Key, keep int) {
	if len(keys) <= keep {
		return
	}
	slices.SortFunc(keys, func(a, b record.Key) int {
		return c.entries[a].buried.Compare(c.entries[b].buried)
	})
	for _, k := range keys[:len(keys)-keep] {
		c.drop(k)
	}
}

// drop forgets a tombstone that peers have been told of.
func (c *Catalog) drop(key record.Key) {
	if !c.outbox.queued[key] {
		delete(c.entries, key)
	}
}
