package reach

import (
	"maps"
	"net/netip"
	"slices"

	"tombolo/linker/record"
)

// Names returns the view of the endpoint from (by key). It is empty if the endpoint is not
// known or belongs to no app. Every name in it leads to endpoints of which from can reach
// at least one port.
func (r *Relation) Names(from string) record.View {
	a := r.endpoints[from]
	if a == nil || a.svc.app == "" {
		return record.View{
			Index: r.s.Index, Names: map[string]record.Answers{}, PTR: map[netip.Addr]string{},
			Internal: a == nil || a.rec.Internal,
		}
	}
	b := r.newViewBuilder(a)
	for id := range r.inReach(a) {
		for _, g := range r.services[id].groups() {
			b.addGroup(g)
		}
	}
	b.addInstance(a)
	view := b.view()
	view.Internal = a.rec.Internal
	return view
}

// HostView returns the view of the host and its operator: every app by names relative to
// the zone (db.shop), every host, and every address of an app.
func (r *Relation) HostView() record.View {
	b := r.newViewBuilder(nil)
	for _, svc := range r.services {
		if svc.app == "" {
			continue
		}
		for _, g := range svc.groups() {
			b.addZoneNames(g)
		}
	}
	return b.view()
}

// inReach returns the services that a may reach, and perhaps others: sees decides.
func (r *Relation) inReach(a *endpoint) map[serviceID]bool {
	set := map[serviceID]bool{}
	for n := range a.networks {
		for _, id := range r.servicesOn[n] {
			set[id] = true
		}
	}
	for _, l := range a.links {
		if id := linkTarget(a.svc.app, l); r.services[id] != nil {
			set[id] = true
		}
	}
	return set
}

// group is the endpoints of a service that share their terms. A service of an app record
// is one group. Without a record each endpoint is a group, because its labels may differ
// from those of the others.
type group struct {
	svc       *service
	terms     *terms
	endpoints []*endpoint
}

func (svc *service) groups() []group {
	if svc.terms != nil {
		return []group{{svc: svc, terms: svc.terms, endpoints: svc.endpoints}}
	}
	all := make([]group, len(svc.endpoints))
	for i, e := range svc.endpoints {
		all[i] = group{svc: svc, terms: e.terms, endpoints: svc.endpoints[i : i+1]}
	}
	return all
}

// sees reports whether a reaches the endpoints of g, so that its view has their names. The
// host (a is nil) sees the names of every app.
func sees(a *endpoint, g group) bool {
	return a == nil || len(sharedNetworks(a.terms, g.terms)) > 0 || len(validLinks(a, g.svc.serviceID, g.terms)) > 0
}

// hostAnswers returns the underlay address of every host, and no address for a suspended
// one. All views of the snapshot share the result.
func hostAnswers(s *record.Snapshot) map[string]record.Answers {
	all := make(map[string]record.Answers, len(s.Hosts))
	for _, host := range slices.Sorted(maps.Keys(s.Hosts)) {
		h := s.Hosts[host]
		name := h.Name + ".host"
		a := all[name] // that of another machine with this name
		if h.Underlay.IsValid() && !s.Suspended[host] {
			t := record.Target{Name: name}
			if h.Underlay.Is4() {
				t.Addr4 = h.Underlay
			} else {
				t.Addr6 = h.Underlay
			}
			a.Targets = append(slices.Clone(a.Targets), t)
		}
		all[name] = a
	}
	return all
}
