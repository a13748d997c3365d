package catalog

import (
	"errors"
	"time"

	"tombolo/linker/record"
)

// ErrStale is returned for an app record that is not newer than the one known.
var ErrStale = errors.New("a newer version is known")

// Catalog is the replicated table of one host. Its methods are safe for
// concurrent use and never block for long.
type Catalog struct{}

// New returns an empty catalog of host owner. Epoch is larger than any that the
// host has stored, and not below the clock's (seconds since 1970): see Epoch.
func New(owner string, epoch uint64) *Catalog { return &Catalog{} }

// Epoch returns the epoch of this host's next record: the one given to New, or
// more when a peer remembered a larger one. The host stores it.
func (c *Catalog) Epoch() uint64 { return 0 }

// Put takes in this host's own record (a host or an endpoint; Owner and Version
// are filled in here). It reports whether that changed anything.
func (c *Catalog) Put(r record.Record) (changed bool, err error) { return false, nil }

// PutApp takes in an app record or its tombstone, versioned by the framework.
// ErrStale when a newer or different one of the same version is known; nil when it is known already.
func (c *Catalog) PutApp(r record.Record) error { return nil }

// Delete removes this host's own record, leaving a tombstone.
func (c *Catalog) Delete(key record.Key) (changed bool) { return false }

// Settle says that every own record that still holds was Put since New. What
// peers remember of an earlier run and was not Put is deleted, now and from now
// on; before Settle it is kept, so that a restart takes nothing away.
func (c *Catalog) Settle() {}

// Merge takes in a record from a peer and reports whether that changed anything.
func (c *Catalog) Merge(r record.Record) (changed bool) { return false }

// Outbox returns, once, the records that peers are to be told because they
// changed here (Put, PutApp, Delete, Settle, or a peer's memory of an earlier
// run). Watch wakes for them.
func (c *Catalog) Outbox() []record.Record { return nil }

// Suspend marks a host as thought dead: its records stay and answer nothing.
func (c *Catalog) Suspend(host string) {}

// Resume ends Suspend.
func (c *Catalog) Resume(host string) {}

// Snapshot returns the present picture. It is computed once per change.
func (c *Catalog) Snapshot() *record.Snapshot { return nil }

// Watch returns a channel that holds a token while something has changed since
// it was last received from, beginning with one token. Cancel ends it; the
// channel is never closed.
func (c *Catalog) Watch() (changes <-chan struct{}, cancel func()) { return nil, nil }

// Collect drops tombstones older than retention, by when Collect first saw them.
func (c *Catalog) Collect(now time.Time, retention time.Duration) {}

// Digest summarises the catalog, one hash per host and per app.
func (c *Catalog) Digest() []byte { return nil }

// Missing returns the encoded records of every host and app whose summary in
// digest differs from ours.
func (c *Catalog) Missing(digest []byte) ([][]byte, error) { return nil, nil }

// Wire is the catalog as linker/gossip wants it: a gossip.Delegate.
type Wire struct{ *Catalog }

// Merge decodes, checks and merges a packet. News is the record's key when it
// changed something.
func (w Wire) Merge(packet []byte) (news string, err error) { return "", nil }
