package catalog

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"tombolo/linker/record"
)

// The most that peers can put into a catalog, so that a peer with a mistake, or a stranger
// where the gossip has no key, exhausts no linker. They are far above the needs of a
// cluster of 1,000 hosts with 50 containers each. This host's own records are not bounded
// by them. Record.Check bounds the content of one record.
const (
	MaxHosts       = 2_000     // hosts with records
	MaxRecordsHost = 1_024     // records of one host, without tombstones; a block has 253 addresses
	MaxBytesHost   = 4 << 20   // of the records of one host
	MaxBytesHosts  = 128 << 20 // of the records of all hosts
	MaxApps        = 10_000
	MaxBytesApps   = 64 << 20
	MaxTombstones  = 100_000 // those of hosts and endpoints, and those of apps
	maxReasons     = 10      // that Refused returns
)

// ErrLimit is wrapped by the reasons for which a record was refused.
var ErrLimit = errors.New("limit of the catalog")

// share is an amount of records.
type share struct{ records, bytes int }

func (s *share) add(e *entry, sign int) {
	s.records += sign
	s.bytes += sign * len(e.wire)
}

// usage is how much of the limits is in use. Tombstones count apart from other records.
type usage struct {
	groups           map[string]share // by digest group
	hosts            int              // number of groups of hosts
	ofHosts, ofApps  share            // sums
	tombstones       int              // of hosts and endpoints
	tombstonesOfApps int
	refused          uint64
	reasons          map[string]error // since Refused was called, by digest group, at most maxReasons
}

func newUsage() usage {
	return usage{groups: map[string]share{}, reasons: map[string]error{}}
}

// add counts an entry, or with the sign -1 one that is gone.
func (u *usage) add(e *entry, sign int) {
	isApp := e.rec.Kind == record.KindApp
	if e.rec.Deleted {
		if isApp {
			u.tombstonesOfApps += sign
		} else {
			u.tombstones += sign
		}
		return
	}
	g := group(e.rec)
	before, all := u.groups[g], &u.ofHosts
	if isApp {
		all = &u.ofApps
	}
	after := before
	after.add(e, sign)
	all.add(e, sign)
	u.groups[g] = after
	if after.records == 0 {
		delete(u.groups, g)
	}
	if !isApp && (before.records == 0) != (after.records == 0) {
		u.hosts += sign
	}
}

// check returns an error if e, which replaces old (or nothing), exceeds a limit. A record
// that takes no more room than its predecessor never does.
func (u *usage) check(e, old *entry) error {
	if e.rec.Deleted {
		if old == nil && max(u.tombstones, u.tombstonesOfApps) >= MaxTombstones {
			return fmt.Errorf("%w: %d tombstones", ErrLimit, MaxTombstones)
		}
		return nil
	}
	g := group(e.rec)
	after, all := u.groups[g], u.ofHosts
	if e.rec.Kind == record.KindApp {
		after, all = share{}, u.ofApps
	}
	newcomer := after.records == 0
	after.add(e, +1)
	all.add(e, +1)
	if old != nil && !old.rec.Deleted {
		if len(e.wire) <= len(old.wire) {
			return nil
		}
		all.add(old, -1)
		if e.rec.Kind != record.KindApp {
			after.add(old, -1)
		}
	}
	if e.rec.Kind == record.KindApp {
		return exceeded([]bound{{"apps", all.records, MaxApps}, {"bytes of all app records", all.bytes, MaxBytesApps}})
	}
	hosts := u.hosts
	if newcomer {
		hosts++
	}
	return exceeded([]bound{
		{"hosts", hosts, MaxHosts}, {"records of one host", after.records, MaxRecordsHost},
		{"bytes of records of one host", after.bytes, MaxBytesHost}, {"bytes of the records of all hosts", all.bytes, MaxBytesHosts},
	})
}

type bound struct {
	what      string
	have, max int
}

func exceeded(bounds []bound) error {
	i := slices.IndexFunc(bounds, func(b bound) bool { return b.have > b.max })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("%w: more than %d %s", ErrLimit, bounds[i].max, bounds[i].what)
}

// refuse counts a record that exceeds a limit.
func (u *usage) refuse(e *entry, why error) {
	u.refused++
	g := group(e.rec)
	if len(u.reasons) < maxReasons || u.reasons[g] != nil {
		what := "app " + e.rec.Name
		if e.rec.Kind != record.KindApp {
			what = "host " + e.rec.Owner
		}
		u.reasons[g] = fmt.Errorf("%s: %w", what, why)
	}
}

// Refused returns the reasons for which records of peers were refused since the last call,
// with the names of the hosts and apps.
func (c *Catalog) Refused() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	reasons := slices.Collect(maps.Values(c.usage.reasons))
	clear(c.usage.reasons)
	return reasons
}

// Counters returns the number of records that were refused because of a limit since New.
func (c *Catalog) Counters() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return map[string]uint64{"refused": c.usage.refused}
}
