package reach

import (
	"maps"
	"reflect"
	"slices"

	"tombolo/linker/record"
)

// Revocation says that records took a permission back.
type Revocation struct {
	From *record.Endpoint
	To   *record.Endpoint // nil: the container of From has ended
}

// Revoked returns the permissions that records took back since before, of which one end is
// an endpoint of host. Known has all records, also those that after leaves out.
//
// A permission that is merely missing is not among them: an endpoint that after lacks, while
// known has it, belongs to a host that is left out for now.
func Revoked(before, after *Relation, known *record.Snapshot, host string) []Revocation {
	var out []Revocation
	seen := map[[2]*endpoint]bool{}
	apps := before.changedApps(after)
	for key, rec := range before.s.Endpoints {
		if after.s.Endpoints[key] == rec && !apps[rec.App] {
			continue // by far the most
		}
		a, now := before.endpoints[key], after.endpoints[key]
		switch {
		case known.Endpoints[key] == nil: // a tombstone replaced its record
			if a.rec.Host != host && before.concerns(a, host) {
				out = append(out, Revocation{From: a.rec})
			}
		case now == nil, a.svc.serviceID == now.svc.serviceID && reflect.DeepEqual(a.terms, now.terms):
		default:
			for _, b := range before.neighbours(a) {
				if other := after.endpoints[b.key]; other != nil && (a.rec.Host == host || b.rec.Host == host) {
					out = appendLost(out, seen, [2]*endpoint{a, b}, [2]*endpoint{now, other})
					out = appendLost(out, seen, [2]*endpoint{b, a}, [2]*endpoint{other, now})
				}
			}
		}
	}
	return out
}

// appendLost appends the permission from the first to the second of before, if the same
// two have less of it in after. Seen has the pairs that were looked at.
func appendLost(out []Revocation, seen map[[2]*endpoint]bool, before, after [2]*endpoint) []Revocation {
	if seen[before] {
		return out
	}
	seen[before] = true
	had, ok := grant(before[0], before[1])
	if !ok {
		return out
	}
	left, ok := grant(after[0], after[1])
	covers := func(p record.Port) bool { return slices.Contains(left, p) }
	if ok && (left == nil || had != nil && !slices.ContainsFunc(had, func(p record.Port) bool { return !covers(p) })) {
		return out
	}
	return append(out, Revocation{From: after[0].rec, To: after[1].rec})
}

// Left returns what is left of the permissions between two endpoints (by key): the ports of
// to that from may reach, and whether to may reach from. All means that from may reach
// every port. Known is false if there is not both of them.
func (r *Relation) Left(from, to string) (still []record.Port, back, all, known bool) {
	a, b := r.endpoints[from], r.endpoints[to]
	if a == nil || b == nil {
		return nil, false, false, false
	}
	still, ok := grant(a, b)
	_, back = grant(b, a)
	return still, back, ok && still == nil, true
}

// changedApps returns the names of the apps whose records differ.
func (r *Relation) changedApps(after *Relation) map[string]bool {
	changed := map[string]bool{}
	for name, a := range r.s.Apps {
		if after.s.Apps[name] != a {
			changed[name] = true
		}
	}
	for name := range after.s.Apps {
		if r.s.Apps[name] == nil {
			changed[name] = true
		}
	}
	return changed
}

// concerns reports whether a may reach an endpoint of host or the other way round.
func (r *Relation) concerns(a *endpoint, host string) bool {
	return slices.ContainsFunc(r.neighbours(a), func(b *endpoint) bool {
		if b.rec.Host != host {
			return false
		}
		_, to := grant(a, b)
		_, from := grant(b, a)
		return to || from
	})
}

// neighbours returns the endpoints that may have a right to reach a, and those that a may
// have a right to reach.
func (r *Relation) neighbours(a *endpoint) []*endpoint {
	set := map[*endpoint]bool{}
	for _, b := range r.candidates(a) {
		set[b] = true
	}
	for _, l := range a.links {
		if svc := r.services[linkTarget(a.svc.app, l)]; svc != nil {
			for _, b := range svc.endpoints {
				set[b] = true
			}
		}
	}
	delete(set, a)
	return slices.Collect(maps.Keys(set))
}
