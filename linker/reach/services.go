package reach

import (
	"cmp"
	"net/netip"
	"slices"

	"tombolo/linker/record"
)

// Service is a service and the endpoints that its address leads to: those that answer now,
// sorted by ID.
type Service struct {
	App, Name string
	Targets   []*record.Endpoint
}

// hostReaches is the largest number of services that a host reaches by addresses although
// none of its containers does. Each costs the host's kernel some elements, and each change
// of the catalog some time.
const hostReaches = 256

// Services returns the services that have an address of their own on a host, whether or not
// somebody has assigned one, sorted by app and name. Each exists as soon as its app does.
// They are all services of the cluster, because the host itself may ask for them; in a
// cluster with more than hostReaches, those that an endpoint of the host may reach.
func (r *Relation) Services(host string) []Service {
	var all []Service
	for _, svc := range r.servicesFor(host) {
		if !svc.hasAddress() {
			continue
		}
		s := Service{App: svc.app, Name: svc.service}
		for _, e := range svc.endpoints {
			if r.answers(e) {
				s.Targets = append(s.Targets, e.rec)
			}
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Service) int { return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Name, b.Name)) })
	return all
}

func (r *Relation) servicesFor(host string) map[serviceID]*service {
	if len(r.services) <= hostReaches {
		return r.services
	}
	some := map[serviceID]*service{}
	for _, a := range r.endpointsOf(host) {
		if a.svc.app == "" {
			continue
		}
		for id := range r.inReach(a) {
			some[id] = r.services[id]
		}
	}
	return some
}

// hasAddress reports whether names lead to an address of the service instead of its
// instances.
func (svc *service) hasAddress() bool {
	switch {
	case svc.app == "" || svc.service == "":
		return false
	case svc.spec != nil:
		return !svc.spec.DNSRR
	}
	return !slices.ContainsFunc(svc.endpoints, func(e *endpoint) bool { return e.rec.DNSRR })
}

// Addresses returns the addresses of a service on one host. The zero Addr means that it has
// none in that family.
type Addresses func(app, service string) (addr4, addr6 netip.Addr)

// WithAddresses returns a relation whose views have the addresses of services, where find
// knows some. It must always find the same ones.
func (r *Relation) WithAddresses(find Addresses) *Relation {
	with := *r
	with.addresses = find
	return &with
}

// addresses returns what a name with some groups leads to: for each service its address, or
// its instances if it has none or if the name does not stand for all that answer. It returns
// nil if no service has an address.
func (b *viewBuilder) addresses(groups []group) []record.Target {
	var out []record.Target
	found := false
	byService := map[*service][]group{}
	for _, g := range groups {
		byService[g.svc] = append(byService[g.svc], g)
	}
	for svc, part := range byService {
		if target, ok := b.address(svc, part); ok {
			out, found = append(out, target), true
			continue
		}
		for _, g := range part {
			for _, e := range g.endpoints {
				if s := b.state(e); s.answers {
					out = append(out, s.target)
				}
			}
		}
	}
	if !found {
		return nil
	}
	return sorted(out)
}

// address returns the target that stands for svc, of which a name means some groups. It has
// no address of a family that no target has: clients would try it in vain.
func (b *viewBuilder) address(svc *service, part []group) (record.Target, bool) {
	if b.r.addresses == nil || !svc.hasAddress() || !b.whole(svc, part) {
		return record.Target{}, false
	}
	t := record.Target{Name: record.Normal(svc.zoneName())}
	t.Addr4, t.Addr6 = b.r.addresses(svc.app, svc.service)
	answering, with6 := false, false
	for _, e := range svc.endpoints {
		if b.r.answers(e) {
			answering, with6 = true, with6 || e.rec.Addr6.IsValid()
		}
	}
	if answering && !with6 {
		t.Addr6 = netip.Addr{}
	}
	for _, addr := range []netip.Addr{t.Addr4, t.Addr6} {
		if addr.IsValid() {
			b.ptr[addr] = t.Name
		}
	}
	return t, t.Addr4.IsValid()
}

// whole reports whether all endpoints of svc that answer are in the groups. Without an app
// record, containers of one service may differ in their networks and aliases; the service's
// address would lead also to those that the name does not mean.
func (b *viewBuilder) whole(svc *service, part []group) bool {
	if svc.terms != nil {
		return true
	}
	meant := map[*endpoint]bool{}
	for _, g := range part {
		for _, e := range g.endpoints {
			meant[e] = true
		}
	}
	return !slices.ContainsFunc(svc.endpoints, func(e *endpoint) bool { return b.r.answers(e) && !meant[e] })
}
