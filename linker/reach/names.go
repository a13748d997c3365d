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
type rank int

const (
	rankZone      rank = iota // db.shop and the like: no other name hides these
	rankLink                  // alias of a link
	rankOwn                   // service, alias or container_name in the asker's app
	rankOwnHost               // hostname in the asker's app
	rankOther                 // service, alias or container_name in another app
	rankOtherHost             // hostname in another app
)

// Names returns the view of the endpoint from (by ID). It is empty if the endpoint is not
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
	b := r.newViewBuilder()
	for id := range r.inReach(a) {
		for _, g := range r.services[id].groups() {
			b.addGroup(a, g)
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
	b := r.newViewBuilder()
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

// inReach returns the services that a may reach. addGroup decides.
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

// viewBuilder collects the names and addresses of a view.
type viewBuilder struct {
	r       *Relation
	names   map[string]*nameEntry
	ptr     map[netip.Addr]string
	targets map[*endpoint]record.Target // results of target
}

// nameEntry is a name and the best rank with which it was added so far.
type nameEntry struct {
	rank    rank
	short   bool            // some service has it as a name without the zone
	targets []record.Target // may hold a target twice
	ports   []record.Port
}

func (r *Relation) newViewBuilder() *viewBuilder {
	return &viewBuilder{r: r, names: map[string]*nameEntry{}, ptr: map[netip.Addr]string{}, targets: map[*endpoint]record.Target{}}
}

// addName makes name exist and lead to those of endpoints that answer, unless it was
// added with a lower rank.
func (b *viewBuilder) addName(name string, by rank, t *terms, endpoints ...*endpoint) {
	name = record.Normal(name)
	if name == "" {
		return
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
		return
	}
	for _, e := range endpoints {
		if target := b.target(e); target.Name != "" {
			n.targets = append(n.targets, target)
		}
	}
	for _, p := range t.ports {
		if !slices.Contains(n.ports, p) {
			n.ports = append(n.ports, p)
		}
	}
}

// target returns the target of names that lead to e, or an empty one if e does not
// answer.
func (b *viewBuilder) target(e *endpoint) record.Target {
	target, known := b.targets[e]
	if !known {
		if b.r.answers(e) {
			target = record.Target{Name: e.name(), Addr4: e.rec.Addr4, Addr6: e.rec.Addr6}
		}
		b.targets[e] = target
	}
	return target
}

// addGroup adds the names of g, if a may reach g.
func (b *viewBuilder) addGroup(a *endpoint, g group) {
	common, links := sharedNetworks(a.terms, g.terms), validLinks(a, g.svc.serviceID, g.terms)
	if len(common) == 0 && len(links) == 0 {
		return
	}
	own, ownHost := rankOwn, rankOwnHost
	if g.svc.app != a.svc.app {
		own, ownHost = rankOther, rankOtherHost
	}
	b.addZoneNames(g)
	b.addName(g.svc.service, own, g.terms, g.endpoints...)
	for _, l := range links {
		b.addName(l.Alias, rankLink, g.terms, g.endpoints...)
	}
	for _, n := range common {
		for _, alias := range g.terms.networks[n] {
			b.addName(alias, own, g.terms, g.endpoints...)
		}
	}
	if spec := g.svc.spec; spec != nil {
		b.addName(spec.ContainerName, own, g.terms)
		b.addName(spec.Hostname, ownHost, g.terms)
	}
	for _, e := range g.endpoints {
		b.addName(e.rec.ContainerName, own, g.terms, e)
		b.addName(e.rec.Hostname, ownHost, g.terms, e)
	}
}

// addZoneNames adds the names of g that are relative to the zone.
func (b *viewBuilder) addZoneNames(g group) {
	zone := g.svc.zoneName()
	if g.svc.service != "" {
		b.addName(zone, rankZone, g.terms, g.endpoints...)
		b.addName("tasks."+zone, rankZone, g.terms, g.endpoints...)
	}
	if g.svc.spec != nil {
		for slot := 1; slot <= g.svc.spec.Replicas; slot++ {
			b.addName(strconv.Itoa(slot)+"."+zone, rankZone, g.terms)
		}
	}
	for _, e := range g.endpoints {
		b.addInstance(e)
	}
}

// addInstance adds the name of one endpoint, and its addresses. An address belongs to the
// endpoint that runs, even if the record of one that ended still has it.
func (b *viewBuilder) addInstance(e *endpoint) {
	b.addName(e.name(), rankZone, e.terms, e)
	for _, addr := range []netip.Addr{e.rec.Addr4, e.rec.Addr6} {
		if addr.IsValid() && (e.rec.Running || b.ptr[addr] == "") {
			b.ptr[addr] = record.Normal(e.name())
		}
	}
}

// view returns the collected names and those of the hosts, which hide all others. The
// caller sets Internal.
func (b *viewBuilder) view() record.View {
	hosts := b.r.hosts()
	names := make(map[string]record.Answers, len(b.names)+len(hosts))
	for name, n := range b.names {
		slices.SortFunc(n.targets, byName)
		names[name] = record.Answers{Short: n.short, Targets: slices.Compact(n.targets), Ports: n.ports}
	}
	maps.Copy(names, hosts)
	return record.View{Index: b.r.s.Index, Names: names, PTR: b.ptr}
}

func byName(a, b record.Target) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), a.Addr4.Compare(b.Addr4), a.Addr6.Compare(b.Addr6))
}

// hostAnswers returns the underlay address of every host, and no address for a suspended
// one. All views of the snapshot share the result.
func hostAnswers(s *record.Snapshot) map[string]record.Answers {
	all := make(map[string]record.Answers, len(s.Hosts))
	for host, h := range s.Hosts {
		name := host + ".host"
		var a record.Answers
		if h.Underlay.IsValid() && !s.Suspended[host] {
			t := record.Target{Name: name}
			if h.Underlay.Is4() {
				t.Addr4 = h.Underlay
			} else {
				t.Addr6 = h.Underlay
			}
			a.Targets = []record.Target{t}
		}
		all[name] = a
	}
	return all
}
