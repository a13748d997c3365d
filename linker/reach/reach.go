package reach

import (
	"maps"
	"slices"
	"strings"

	"tombolo/linker/record"
)

// Group is a set of endpoints, From, that may reach all of the endpoints To for one reason: a
// network that they share, or a link. Nil Ports means every port and protocol.
type Group struct {
	Reason   string // unique, and the same while endpoints come and go
	From, To []*record.Endpoint
	Ports    []record.Port
}

// Allowed reports whether the endpoint from may reach port of the endpoint to (both by
// key). Port number 0 asks whether it may reach any port. An unset protocol means "tcp".
func (r *Relation) Allowed(from, to string, port record.Port) bool {
	a, b := r.endpoints[from], r.endpoints[to]
	if a == nil || b == nil {
		return false
	}
	ports, ok := grant(a, b)
	if !ok || ports == nil || port.Number == 0 {
		return ok
	}
	if port.Proto == "" {
		port.Proto = "tcp"
	}
	return slices.ContainsFunc(ports, func(p record.Port) bool {
		return p.Number == port.Number && p.Proto == port.Proto
	})
}

// Outside reports whether an endpoint (by key) may reach more than the endpoints that Allowed
// permits: the outside, the hosts and their published ports. If not, why says the reason.
func (r *Relation) Outside(id string) (ok bool, why string) {
	switch e := r.endpoints[id]; {
	case e == nil:
		// Otherwise an internal container could briefly reach the outside when it starts.
		return false, "it is not identified yet"
	case e.rec.Internal:
		return false, "all of its networks are internal"
	}
	return true, ""
}

// Lost reports whether the host of an endpoint (by key) is thought dead, and whether the slot of
// the endpoint has a later generation elsewhere. The latter is false as long as the host is
// thought alive: it ends its superseded containers itself, when they have finished their work.
func (r *Relation) Lost(id string) (lost, superseded bool) {
	e := r.endpoints[id]
	lost = e != nil && r.s.Suspended[e.rec.Host]
	return lost, lost && e.rec.App != "" && e.rec.Generation < e.svc.generations[e.rec.Slot]
}

// Answers reports whether names lead to an endpoint (by key) now.
func (r *Relation) Answers(id string) bool {
	e := r.endpoints[id]
	return e != nil && r.answers(e)
}

// Groups returns who may reach the endpoints of host, by reason. It makes no difference
// whether an endpoint is healthy, drained, replaced by a later generation, or on a suspended
// host. An endpoint may be in both sets of a group: everybody may reach itself.
func (r *Relation) Groups(host string) []Group {
	groups := map[string]*Group{}
	for _, b := range r.endpointsOf(host) {
		if b.svc.app == "" {
			continue
		}
		for n := range b.networks {
			if !b.strict {
				receive(groups, "network "+n, b, func() Group { return Group{From: r.members(n)} })
			}
		}
		link := "link to " + b.svc.zoneName()
		if b.terms != b.svc.terms {
			link += " " + b.rec.ID // its own labels decide
		}
		receive(groups, link, b, func() Group { return Group{From: r.linkedTo(b), Ports: b.ports} })
	}
	var out []Group
	for _, reason := range slices.Sorted(maps.Keys(groups)) {
		if g := groups[reason]; len(g.From) > 0 {
			out = append(out, *g)
		}
	}
	return out
}

// receive adds b to the receivers of the group with a reason, which it makes if there is none.
func receive(groups map[string]*Group, reason string, b *endpoint, create func() Group) {
	g := groups[reason]
	if g == nil {
		created := create()
		g = &created
		g.Reason = reason
		groups[reason] = g
	}
	g.To = append(g.To, b.rec)
}

// members returns the endpoints on a network that reach each other there.
func (r *Relation) members(network string) (out []*record.Endpoint) {
	for _, e := range r.endpointsOn[network] {
		if !e.strict {
			out = append(out, e.rec)
		}
	}
	return out
}

// linkedTo returns the endpoints that reach b by a link and by nothing else.
func (r *Relation) linkedTo(b *endpoint) (out []*record.Endpoint) {
	for _, a := range r.linkedFrom[b.svc.serviceID] {
		if _, ok := grant(a, b); ok && len(sharedNetworks(a.terms, b.terms)) == 0 {
			out = append(out, a.rec)
		}
	}
	return out
}

// endpointsOf returns the endpoints of host, sorted by key.
func (r *Relation) endpointsOf(host string) []*endpoint {
	var all []*endpoint
	for _, e := range r.endpoints {
		if e.rec.Host == host {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, byKey)
	return all
}

// candidates returns the other endpoints that may have a right to reach b, sorted by key:
// those on its networks and those with a link to its service.
func (r *Relation) candidates(b *endpoint) []*endpoint {
	set := map[*endpoint]bool{}
	for n := range b.networks {
		for _, a := range r.endpointsOn[n] {
			set[a] = true
		}
	}
	for _, a := range r.linkedFrom[b.svc.serviceID] {
		set[a] = true
	}
	delete(set, b)
	return slices.SortedFunc(maps.Keys(set), byKey)
}

// grant reports whether a may reach b, and on which ports; nil means all. This is the
// one rule:
//
//	a and b are the same endpoint                         every port
//	a and b are on a network with the same full name,     every port
//	and neither is strict
//	a has a link to b's service, which is in the same     the ports that b's service
//	app or exported to a's app by b's own file            names; every port if it names none
func grant(a, b *endpoint) (ports []record.Port, ok bool) {
	switch {
	case a == b:
		return nil, true
	case a.svc.app == "" || b.svc.app == "":
		return nil, false
	case len(sharedNetworks(a.terms, b.terms)) > 0:
		return nil, true
	case len(validLinks(a, b.svc.serviceID, b.terms)) == 0:
		return nil, false
	case len(b.ports) == 0:
		return nil, true
	}
	return b.ports, true
}

// sharedNetworks returns the networks on which endpoints with the terms a and b reach
// each other.
func sharedNetworks(a, b *terms) []string {
	if a.strict || b.strict {
		return nil
	}
	var names []string
	for n := range a.networks {
		if _, ok := b.networks[n]; ok {
			names = append(names, n)
		}
	}
	return names
}

// validLinks returns a's links to a service with the terms b. It returns none if the
// service is in another app and not exported to a's.
func validLinks(a *endpoint, to serviceID, b *terms) []record.Link {
	if to.app != a.svc.app && !b.export.Allows(a.svc.app) {
		return nil
	}
	var all []record.Link
	for _, l := range a.links {
		if linkTarget(a.svc.app, l) == to {
			all = append(all, l)
		}
	}
	return all
}

// linkTarget returns the service to which a link in app leads.
func linkTarget(app string, l record.Link) serviceID {
	if l.App != "" {
		app = record.Normal(l.App)
	}
	return serviceID{app: app, service: record.Normal(l.Service)}
}

func byKey(a, b *endpoint) int { return strings.Compare(a.key, b.key) }
