package reach

import (
	"maps"
	"slices"
	"strconv"
	"sync"

	"tombolo/linker/record"
)

// Relation is the reach relation of one snapshot. Of indexes the snapshot once,
// in time linear in its size; the methods then look at little but what they
// return. It is immutable and safe for concurrent use.
type Relation struct {
	s        *record.Snapshot
	members  map[string]*member   // by endpoint ID
	services map[id]*service      // those of app records, and those that endpoints name
	networks map[string][]*member // full network name -> who is on it
	offers   map[string][]id      // full network name -> services on it
	linkers  map[id][]*member     // service -> who links to it
	hosts    func() map[string]record.Answers
}

// id names a service. Service is "" for an app's endpoints of no service.
type id struct{ app, service string }

// service is the endpoints that answer to one name.
type service struct {
	id
	spec    *record.Service // nil where no app record speaks of it
	terms   *terms          // of spec
	members []*member
	counts  map[int]uint64 // slot -> generation that answers
}

// terms decide reach. They come from the app record where it speaks of the
// service, else from the endpoint's labels.
type terms struct {
	networks map[string][]string
	links    []record.Link
	export   *record.Export
	ports    []record.Port
	strict   bool
}

// member is one endpoint.
type member struct {
	*terms
	e  *record.Endpoint
	of *service
}

// Of returns the relation of s, which must not change.
func Of(s *record.Snapshot) *Relation {
	r := &Relation{
		s:        s,
		members:  make(map[string]*member, len(s.Endpoints)),
		services: map[id]*service{},
		networks: map[string][]*member{},
		offers:   map[string][]id{},
		linkers:  map[id][]*member{},
		hosts:    sync.OnceValue(func() map[string]record.Answers { return hostAnswers(s) }),
	}
	for name, a := range s.Apps {
		for n, spec := range a.Services {
			r.declare(id{app: name, service: n}, a, &spec)
		}
	}
	for _, e := range s.Endpoints {
		r.join(e)
	}
	for _, svc := range r.services {
		slices.SortFunc(svc.members, byID)
		r.offer(svc)
	}
	return r
}

func (r *Relation) declare(of id, a *record.App, spec *record.Service) {
	r.services[of] = &service{
		id: of, spec: spec, counts: maps.Clone(spec.Generations),
		terms: &terms{
			networks: spec.Networks, links: spec.Links, export: spec.Export, ports: spec.Ports, strict: a.Strict,
		},
	}
}

// join makes e a member of its service.
func (r *Relation) join(e *record.Endpoint) {
	of := id{app: e.App, service: e.Service}
	svc := r.services[of]
	if svc == nil {
		svc = &service{id: of}
		r.services[of] = svc
	}
	m := &member{e: e, of: svc, terms: svc.terms}
	if m.terms == nil {
		m.terms = r.labelled(e)
	}
	r.members[e.ID] = m
	svc.members = append(svc.members, m)
	if e.App == "" {
		return // foreign: on no network that is ours to tell
	}
	svc.count(e)
	for n := range m.networks {
		r.networks[n] = append(r.networks[n], m)
	}
	for _, l := range m.links {
		to := target(e.App, l)
		r.linkers[to] = append(r.linkers[to], m)
	}
}

func (r *Relation) labelled(e *record.Endpoint) *terms {
	t := &terms{networks: e.Networks, links: e.Links, export: e.Export, ports: e.Ports, strict: e.Strict}
	if a := r.s.Apps[e.App]; a != nil {
		t.strict = a.Strict
	}
	return t
}

// count finds the generation that answers for a slot: the app record's word, else
// the highest there is, dead or alive.
func (svc *service) count(e *record.Endpoint) {
	if svc.spec != nil {
		if _, said := svc.spec.Generations[e.Slot]; said {
			return
		}
	}
	if svc.counts == nil {
		svc.counts = map[int]uint64{}
	}
	svc.counts[e.Slot] = max(svc.counts[e.Slot], e.Generation)
}

// offer notes on which networks svc can be met.
func (r *Relation) offer(svc *service) {
	if svc.app == "" {
		return
	}
	on := map[string]bool{}
	for _, s := range svc.sights() {
		for n := range s.terms.networks {
			on[n] = true
		}
	}
	for n := range on {
		r.offers[n] = append(r.offers[n], svc.id)
	}
}

// answers reports whether names may lead to m now.
func (r *Relation) answers(m *member) bool {
	return m.e.Answering() && !r.s.Suspended[m.e.Host] && m.e.Generation == m.of.counts[m.e.Slot] &&
		(m.of.spec == nil || !slices.Contains(m.of.spec.Drained, m.e.Slot))
}

// name is m's name relative to the zone: by its slot, or by its container's ID
// where it has none.
func (m *member) name() string {
	first := strconv.Itoa(m.e.Slot)
	if m.e.Slot == 0 {
		first = m.e.Container
		if first == "" {
			first = m.e.ID
		}
		first = first[:min(12, len(first))]
	}
	if m.of.service == "" {
		return first + "." + m.of.app
	}
	return first + "." + m.of.zone()
}

// zone is the service's name relative to the zone.
func (of id) zone() string { return of.service + "." + of.app }
