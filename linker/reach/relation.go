package reach

import (
	"maps"
	"slices"
	"strconv"
	"sync"

	"tombolo/linker/record"
)

// Relation answers questions about one snapshot. Of indexes the snapshot once, in time
// linear in its size; the cost of a method depends only on its result. A Relation is
// immutable and safe for concurrent use.
type Relation struct {
	s           *record.Snapshot
	endpoints   map[string]*endpoint      // by their keys in s
	services    map[serviceID]*service    // those of app records and those that endpoints name
	endpointsOn map[string][]*endpoint    // by full network name
	servicesOn  map[string][]serviceID    // by full network name
	linkedFrom  map[serviceID][]*endpoint // the endpoints with a link to the service
	hosts       func() map[string]record.Answers
	known       func() map[string]bool // names of all services, whoever sees them
	addresses   Addresses              // nil: services have no addresses
}

// serviceID names a service. Service is "" for the endpoints of an app that belong to no
// service; both are "" for foreign endpoints.
type serviceID struct{ app, service string }

// service is a service and its endpoints.
type service struct {
	serviceID
	spec        *record.Service // from the app record; nil if that lacks the service
	terms       *terms          // of spec; nil without spec
	endpoints   []*endpoint
	generations map[int]uint64 // slot -> the generation that names lead to
}

// terms are the facts that decide who reaches an endpoint and whom it reaches. They come
// from the app record if that has the service, else from the endpoint's labels.
type terms struct {
	networks map[string][]string // full network name -> aliases
	links    []record.Link
	export   *record.Export
	ports    []record.Port
	strict   bool
}

type endpoint struct {
	*terms
	key string // in the snapshot
	rec *record.Endpoint
	svc *service
}

// Of returns the relation of s, which must not change afterwards.
func Of(s *record.Snapshot) *Relation {
	r := &Relation{
		s:           s,
		endpoints:   make(map[string]*endpoint, len(s.Endpoints)),
		services:    map[serviceID]*service{},
		endpointsOn: map[string][]*endpoint{},
		servicesOn:  map[string][]serviceID{},
		linkedFrom:  map[serviceID][]*endpoint{},
		hosts:       sync.OnceValue(func() map[string]record.Answers { return hostAnswers(s) }),
	}
	r.known = sync.OnceValue(r.serviceNames)
	for name, a := range s.Apps {
		for n, spec := range a.Services {
			r.addService(serviceID{app: name, service: n}, a, &spec)
		}
	}
	for key, e := range s.Endpoints {
		r.addEndpoint(key, e)
	}
	for _, svc := range r.services {
		slices.SortFunc(svc.endpoints, byKey)
		r.indexNetworks(svc)
	}
	return r
}

func (r *Relation) serviceNames() map[string]bool {
	names := map[string]bool{}
	for id := range r.services {
		if id.service != "" {
			names[id.service] = true
		}
	}
	return names
}

func (r *Relation) addService(id serviceID, a *record.App, spec *record.Service) {
	r.services[id] = &service{
		serviceID: id, spec: spec, generations: maps.Clone(spec.Generations),
		terms: &terms{
			networks: spec.Networks, links: spec.Links, export: spec.Export, ports: spec.Ports, strict: a.Strict,
		},
	}
}

func (r *Relation) addEndpoint(key string, rec *record.Endpoint) {
	id := serviceID{app: rec.App, service: rec.Service}
	svc := r.services[id]
	if svc == nil {
		svc = &service{serviceID: id}
		r.services[id] = svc
	}
	e := &endpoint{key: key, rec: rec, svc: svc, terms: svc.terms}
	if e.terms == nil {
		e.terms = r.labelTerms(rec)
	}
	r.endpoints[key] = e
	svc.endpoints = append(svc.endpoints, e)
	if rec.App == "" {
		return // nothing is known about the networks of a foreign endpoint
	}
	svc.noteGeneration(rec)
	for n := range e.networks {
		r.endpointsOn[n] = append(r.endpointsOn[n], e)
	}
	for _, l := range e.links {
		to := linkTarget(rec.App, l)
		r.linkedFrom[to] = append(r.linkedFrom[to], e)
	}
}

func (r *Relation) labelTerms(rec *record.Endpoint) *terms {
	t := &terms{networks: rec.Networks, links: rec.Links, export: rec.Export, ports: rec.Ports, strict: rec.Strict}
	if a := r.s.Apps[rec.App]; a != nil {
		t.strict = a.Strict
	}
	return t
}

// noteGeneration keeps the generation that names lead to for a slot: the app record's if
// it names one, else the highest of all endpoints, dead or alive.
func (svc *service) noteGeneration(rec *record.Endpoint) {
	if svc.spec != nil {
		if _, set := svc.spec.Generations[rec.Slot]; set {
			return
		}
	}
	if svc.generations == nil {
		svc.generations = map[int]uint64{}
	}
	svc.generations[rec.Slot] = max(svc.generations[rec.Slot], rec.Generation)
}

// indexNetworks adds svc to servicesOn.
func (r *Relation) indexNetworks(svc *service) {
	if svc.app == "" {
		return
	}
	on := map[string]bool{}
	for _, g := range svc.groups() {
		for n := range g.terms.networks {
			on[n] = true
		}
	}
	for n := range on {
		r.servicesOn[n] = append(r.servicesOn[n], svc.serviceID)
	}
}

// answers reports whether names lead to e now.
func (r *Relation) answers(e *endpoint) bool { return e.rec.Answering() && r.present(e) }

// present reports whether e is the running task of its slot, whatever its health is.
func (r *Relation) present(e *endpoint) bool {
	return e.rec.Running && !r.s.Suspended[e.rec.Host] && e.rec.Generation == e.svc.generations[e.rec.Slot] &&
		(e.svc.spec == nil || !slices.Contains(e.svc.spec.Drained, e.rec.Slot))
}

// name returns e's name relative to the zone. It begins with e's slot, or with the ID of
// its container if it has none.
func (e *endpoint) name() string {
	first := strconv.Itoa(e.rec.Slot)
	if e.rec.Slot == 0 {
		first = e.rec.Container
		if first == "" {
			first = e.rec.ID
		}
		first = first[:min(12, len(first))]
	}
	if e.svc.service == "" {
		return first + "." + e.svc.app
	}
	return first + "." + e.svc.zoneName()
}

// zoneName returns the service's name relative to the zone.
func (id serviceID) zoneName() string { return id.service + "." + id.app }
