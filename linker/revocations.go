package linker

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// revokedFor is how long the kernel refuses every packet between two containers after a
// permission was taken back. An answer that takes longer than this can reopen a way for a
// flow of UDP.
const revokedFor = time.Minute

// revocations are the permissions that records took back lately. A permission that is
// merely missing, for example because its host is left out, is not among them.
type revocations struct {
	before *effectiveCatalog // nil: nothing has been compared yet
	lately map[revoked]time.Time
}

// revoked is a permission by the keys of its endpoints.
type revoked struct {
	from, to     string // to is "" if the container of from has ended
	addr4, addr6 netip.Addr
}

// update compares the effective catalog with that of the last call, forgets what was
// permitted again or is older than revokedFor, and returns the rest in a fixed order.
func (r *revocations) update(e *effectiveCatalog, now time.Time) []overlay.Revocation {
	if r.lately == nil {
		r.lately = map[revoked]time.Time{}
	}
	if r.before != nil && r.before != e {
		for _, v := range reach.Revoked(r.before.Relation, e.Relation, e.source, e.self.Key()) {
			r.lately[revokedOf(v)] = now
		}
	}
	r.before = e
	var out []overlay.Revocation
	maps.DeleteFunc(r.lately, func(v revoked, since time.Time) bool {
		all := v.express(e)
		if len(all) == 0 || now.Sub(since) >= revokedFor {
			return true
		}
		out = append(out, all...)
		return false
	})
	slices.SortFunc(out, func(a, b overlay.Revocation) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), a.From.Compare(b.From), a.To.Compare(b.To))
	})
	return out
}

// next returns how long the first of them still lasts; ok is false if there are none.
func (r *revocations) next(now time.Time) (wait time.Duration, ok bool) {
	for _, since := range r.lately {
		if left := revokedFor - now.Sub(since); !ok || left < wait {
			wait, ok = max(left, 0), true
		}
	}
	return wait, ok
}

func revokedOf(v reach.Revocation) revoked {
	if v.To == nil {
		return revoked{from: v.From.Key(), addr4: v.From.Addr4, addr6: v.From.Addr6}
	}
	return revoked{from: v.From.Key(), to: v.To.Key()}
}

// express returns what the kernel has to do, once for each family of addresses. It returns
// nothing if everything is permitted again. The same holds if one of the two containers has
// ended, because another container may have its address by now.
func (v revoked) express(e *effectiveCatalog) (out []overlay.Revocation) {
	if v.to == "" {
		for _, addr := range []netip.Addr{v.addr4, v.addr6} {
			if addr.IsValid() {
				out = append(out, overlay.Revocation{ID: v.from, From: addr})
			}
		}
		return out
	}
	still, back, all, known := e.Left(v.from, v.to)
	if all || !known {
		return nil
	}
	from, to := e.Endpoints[v.from], e.Endpoints[v.to]
	for _, pair := range [][2]netip.Addr{{from.Addr4, to.Addr4}, {from.Addr6, to.Addr6}} {
		if pair[0].IsValid() && pair[1].IsValid() {
			out = append(out, overlay.Revocation{ID: v.from + " " + v.to, From: pair[0], To: pair[1], Still: hostPorts(still), Back: back})
		}
	}
	return out
}

func hostPorts(ports []record.Port) (out []overlay.HostPort) {
	for _, p := range ports {
		out = append(out, overlay.HostPort{Port: p.Number, Proto: p.Proto})
	}
	return out
}
