package reach

import (
	"maps"
	"slices"
	"strings"

	"tombolo/linker/record"
)

// Grant lets From reach To, a local endpoint. Nil Ports means every port and
// protocol.
type Grant struct {
	From, To *record.Endpoint
	Ports    []record.Port
}

// Allowed reports whether endpoint from (by ID) may reach port of endpoint to.
// Port.Number 0 asks for any port at all; an unset Proto is "tcp".
func (r *Relation) Allowed(from, to string, port record.Port) bool {
	a, b := r.members[from], r.members[to]
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

// Answers reports whether names lead to an endpoint (by ID) now.
func (r *Relation) Answers(endpoint string) bool {
	m := r.members[endpoint]
	return m != nil && r.answers(m)
}

// Grants returns what the endpoints of host may receive from other endpoints,
// sorted by To.ID and From.ID. Whether an endpoint answers, drains, is superseded
// or sits on a suspended host makes no difference.
func (r *Relation) Grants(host string) []Grant {
	var grants []Grant
	for _, b := range r.hosted(host) {
		for _, a := range r.askers(b) {
			if ports, ok := grant(a, b); ok {
				grants = append(grants, Grant{From: a.e, To: b.e, Ports: ports})
			}
		}
	}
	return grants
}

// hosted returns the endpoints of host, sorted by ID.
func (r *Relation) hosted(host string) []*member {
	var all []*member
	for _, m := range r.members {
		if m.e.Host == host {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, byID)
	return all
}

// askers returns everyone else who may have a right to reach b, sorted by ID:
// those on its networks, and those who link to its service.
func (r *Relation) askers(b *member) []*member {
	set := map[*member]bool{}
	for n := range b.networks {
		for _, a := range r.networks[n] {
			set[a] = true
		}
	}
	for _, a := range r.linkers[b.of.id] {
		set[a] = true
	}
	delete(set, b)
	return slices.SortedFunc(maps.Keys(set), byID)
}

// grant says whether a may reach b, and on which ports: nil for all. It is the
// one rule:
//
//	itself                                              every port
//	a network of the same full name, neither strict     every port
//	a link of a's to b's service, in the same app, or   the ports b's service
//	exported to a's app by b's own file                 listens on, when it says so
func grant(a, b *member) (ports []record.Port, ok bool) {
	switch {
	case a == b:
		return nil, true
	case a.of.app == "" || b.of.app == "":
		return nil, false
	case len(shared(a.terms, b.terms)) > 0:
		return nil, true
	case len(links(a, b.of.id, b.terms)) == 0:
		return nil, false
	case len(b.ports) == 0:
		return nil, true
	}
	return b.ports, true
}

// shared returns the networks by which the holders of a and b see each other.
func shared(a, b *terms) []string {
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

// links returns a's links to service to that hold: whose target offers terms b.
func links(a *member, to id, b *terms) []record.Link {
	if to.app != a.of.app && !b.export.Allows(a.of.app) {
		return nil
	}
	var all []record.Link
	for _, l := range a.links {
		if target(a.of.app, l) == to {
			all = append(all, l)
		}
	}
	return all
}

// target is the service that a link of app's means.
func target(app string, l record.Link) id {
	if l.App != "" {
		app = record.Normal(l.App)
	}
	return id{app: app, service: record.Normal(l.Service)}
}

func byID(a, b *member) int { return strings.Compare(a.e.ID, b.e.ID) }
