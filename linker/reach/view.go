package reach

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"tombolo/linker/record"
)

// rank orders the kinds of names in a view. If several services have a name, it belongs
// to those that have it with the lowest rank. Services with the same rank share it, as
// services that have the same alias do in Compose.
//
// All names of the asker's own app come before those of other apps. Otherwise another app
// on a shared network could take a name like tasks.db or shop-db-1 by giving it to one of
// its services.
type rank int

const (
	rankZone           rank = iota // db.shop and the like: no other name hides these
	rankLink                       // alias of a link
	rankOwn                        // service, alias or container_name in the asker's app
	rankOwnHost                    // hostname in the asker's app
	rankOwnContainer               // shop-db-2 or shop_db_2 in the asker's app
	rankOwnInstance                // tasks.db, 2.db, db-2 or container ID in the asker's app
	rankOther                      // service, alias or container_name in another app
	rankOtherHost                  // hostname in another app
	rankOtherContainer             // pay-api-2 or pay_api_2 in another app
	rankOtherInstance              // tasks.api, 2.api, api-2 or container ID in another app
)

// toOther turns a rank of a name in the asker's app into that of a name in another app.
const toOther = rankOther - rankOwn

// viewBuilder collects the names and addresses of a view.
type viewBuilder struct {
	r      *Relation
	asker  *endpoint // nil: the host
	names  map[string]*nameEntry
	ptr    map[netip.Addr]string
	states map[*endpoint]state // results of stateOf
}

// nameEntry is a name and the best rank with which it was added so far.
type nameEntry struct {
	rank    rank
	short   bool            // some service has it as a name without the zone
	targets []record.Target // may hold a target twice
	ports   []record.Port
	groups  []group // those whose service or alias it is: their instances have names that derive from it
}

// state says which names in one view lead to an endpoint now.
type state struct {
	target   record.Target
	answers  bool // the names of its service
	instance bool // the names of the instance itself
}

func (r *Relation) newViewBuilder(asker *endpoint) *viewBuilder {
	return &viewBuilder{
		r: r, asker: asker, names: map[string]*nameEntry{}, ptr: map[netip.Addr]string{}, states: map[*endpoint]state{},
	}
}

// stateOf returns which names lead asker to e. To an asker of the same service, the names
// of an instance lead as soon as the instance runs: members of a cluster are often healthy
// only when they have found each other.
func (r *Relation) stateOf(asker, e *endpoint) state {
	s := state{target: record.Target{Name: e.name(), Addr4: e.rec.Addr4, Addr6: e.rec.Addr6}, answers: r.answers(e)}
	peer := asker != nil && asker.svc == e.svc && e.svc.service != ""
	s.instance = s.answers || peer && r.present(e)
	return s
}

func (b *viewBuilder) state(e *endpoint) state {
	s, known := b.states[e]
	if !known {
		s = b.r.stateOf(b.asker, e)
		b.states[e] = s
	}
	return s
}

// entry makes name exist, with the ports of t, unless it was added with a lower rank. It
// returns nil if it was, or if name is empty.
func (b *viewBuilder) entry(name string, by rank, t *terms) *nameEntry {
	name = record.Normal(name)
	if name == "" {
		return nil
	}
	n := b.names[name]
	switch {
	case n == nil:
		n = &nameEntry{rank: by}
		b.names[name] = n
	case by < n.rank:
		*n = nameEntry{rank: by, short: n.short}
	}
	n.short = n.short || by != rankZone
	if by > n.rank {
		return nil
	}
	for _, p := range t.ports {
		if !slices.Contains(n.ports, p) {
			n.ports = append(n.ports, p)
		}
	}
	return n
}

// addService adds a name of g's service, which leads to the endpoints that answer.
func (b *viewBuilder) addService(name string, by rank, g group) {
	n := b.entry(name, by, g.terms)
	if n == nil {
		return
	}
	n.groups = append(n.groups, g)
	for _, e := range g.endpoints {
		if s := b.state(e); s.answers {
			n.targets = append(n.targets, s.target)
		}
	}
}

// addInstances adds a name of instances.
func (b *viewBuilder) addInstances(name string, by rank, t *terms, endpoints ...*endpoint) {
	n := b.entry(name, by, t)
	if n == nil {
		return
	}
	for _, e := range endpoints {
		if s := b.state(e); s.instance {
			n.targets = append(n.targets, s.target)
		}
	}
}

// addGroup adds the names of g, if the asker may reach g.
func (b *viewBuilder) addGroup(g group) {
	a := b.asker
	if !sees(a, g) {
		return
	}
	other := rank(0)
	if g.svc.app != a.svc.app {
		other = toOther
	}
	b.addZoneNames(g)
	b.addService(g.svc.service, rankOwn+other, g)
	for _, l := range validLinks(a, g.svc.serviceID, g.terms) {
		b.addService(l.Alias, rankLink, g)
	}
	for _, n := range sharedNetworks(a.terms, g.terms) {
		for _, alias := range g.terms.networks[n] {
			b.addService(alias, rankOwn+other, g)
		}
	}
	if spec := g.svc.spec; spec != nil {
		b.addInstances(spec.ContainerName, rankOwn+other, g.terms)
		b.addInstances(spec.Hostname, rankOwnHost+other, g.terms)
	}
	for _, e := range g.endpoints {
		b.addContainer(e, other)
	}
}

// shortID is the number of digits of a container's ID that `docker ps` shows. All 64 would
// not fit into a DNS label.
const shortID = 12

// addContainer adds the names that belong to e's container alone.
func (b *viewBuilder) addContainer(e *endpoint, other rank) {
	b.addInstances(e.rec.ContainerName, rankOwn+other, e.terms, e)
	b.addInstances(e.rec.Hostname, rankOwnHost+other, e.terms, e)
	if id := e.rec.Container; len(id) >= shortID {
		b.addInstances(id[:shortID], rankOwnInstance+other, e.terms, e)
	}
}

// addZoneNames adds the names of g that are relative to the zone.
func (b *viewBuilder) addZoneNames(g group) {
	zone := g.svc.zoneName()
	if g.svc.service != "" {
		b.addService(zone, rankZone, g)
		b.addInstances("tasks."+zone, rankZone, g.terms, g.endpoints...)
	}
	if g.svc.spec != nil {
		for slot := 1; slot <= g.svc.spec.Replicas; slot++ {
			b.addInstances(strconv.Itoa(slot)+"."+zone, rankZone, g.terms)
		}
	}
	for _, e := range g.endpoints {
		b.addInstance(e)
	}
}

// addInstance adds the name of one endpoint, and its addresses. An address belongs to the
// endpoint that runs, even if the record of one that ended still has it.
func (b *viewBuilder) addInstance(e *endpoint) {
	b.addInstances(e.name(), rankZone, e.terms, e)
	for _, addr := range []netip.Addr{e.rec.Addr4, e.rec.Addr6} {
		if addr.IsValid() && (e.rec.Running || b.ptr[addr] == "") {
			b.ptr[addr] = record.Normal(e.name())
		}
	}
}

// view returns the collected names and those of the hosts, which hide all others. The
// caller sets Internal.
func (b *viewBuilder) view() record.View {
	more := &instances{r: b.r, asker: b.asker, names: b.names}
	hosts := b.r.hosts()
	names := make(map[string]record.Answers, len(b.names)+len(hosts))
	for name, n := range b.names {
		if n.rank >= rankOther && more.hides(name, n.rank) {
			continue
		}
		names[name] = record.Answers{Short: n.short, Targets: sorted(n.targets), Ports: n.ports, Services: b.addresses(n.groups)}
	}
	maps.Copy(names, hosts)
	return record.View{Index: b.r.s.Index, Names: names, PTR: b.ptr, Instances: more}
}

// sorted sorts targets in place and leaves out repeated ones.
func sorted(targets []record.Target) []record.Target {
	slices.SortFunc(targets, func(a, b record.Target) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Addr4.Compare(b.Addr4), a.Addr6.Compare(b.Addr6))
	})
	return slices.Compact(targets)
}
