package reach

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"tombolo/linker/record"
)

// rank orders what may claim a name in a view. The lowest rank that claims it has
// it; equals share it, as Compose has services with one alias share it.
type rank int

const (
	rankZone      rank = iota // db.shop and the like: nobody can take another's
	rankLink                  // the alias of a link
	rankOwn                   // service, alias, container_name in the asker's app
	rankOwnHost               // hostname in the asker's app
	rankOther                 // the same of other apps
	rankOtherHost             //
)

// Names returns what endpoint from (by ID) sees: nothing when it is unknown or of
// no app. What it sees it can reach, on one port at least.
func (r *Relation) Names(from string) record.View {
	a := r.members[from]
	if a == nil || a.of.app == "" {
		return record.View{
			Index: r.s.Index, Names: map[string]record.Answers{}, PTR: map[netip.Addr]string{},
			Internal: a == nil || a.e.Internal,
		}
	}
	v := r.newView()
	for of := range r.inReach(a) {
		for _, s := range r.services[of].sights() {
			v.add(a, s)
		}
	}
	v.instance(a)
	view := v.view()
	view.Internal = a.e.Internal
	return view
}

// HostView returns what the host and its operator see: every app by names
// relative to the zone (db.shop), every host, every address of an app.
func (r *Relation) HostView() record.View {
	v := r.newView()
	for _, svc := range r.services {
		if svc.app == "" {
			continue
		}
		for _, s := range svc.sights() {
			v.zone(s)
		}
	}
	return v.view()
}

// inReach returns the services that a may have in reach.
func (r *Relation) inReach(a *member) map[id]bool {
	set := map[id]bool{}
	for n := range a.networks {
		for _, of := range r.offers[n] {
			set[of] = true
		}
	}
	for _, l := range a.links {
		if of := target(a.of.app, l); r.services[of] != nil {
			set[of] = true
		}
	}
	return set
}

// sight is a service, or one of its endpoints where labels alone speak and each
// may say something else.
type sight struct {
	svc     *service
	terms   *terms
	members []*member
}

func (svc *service) sights() []sight {
	if svc.terms != nil {
		return []sight{{svc: svc, terms: svc.terms, members: svc.members}}
	}
	all := make([]sight, len(svc.members))
	for i, m := range svc.members {
		all[i] = sight{svc: svc, terms: m.terms, members: svc.members[i : i+1]}
	}
	return all
}

// view collects names.
type view struct {
	r     *Relation
	names map[string]*claim
	ptr   map[netip.Addr]string
	known map[*member]record.Target // of members that answer; unset for the others
}

// claim is who has a name so far.
type claim struct {
	rank    rank
	short   bool            // somebody claims it as a name without the zone
	targets []record.Target // some of them twice
	ports   []record.Port
}

func (r *Relation) newView() *view {
	return &view{r: r, names: map[string]*claim{}, ptr: map[netip.Addr]string{}, known: map[*member]record.Target{}}
}

// claim makes name exist, and lead to whichever of members answer, unless someone
// of lower rank has it.
func (v *view) claim(name string, by rank, t *terms, members ...*member) {
	name = record.Normal(name)
	if name == "" {
		return
	}
	c := v.names[name]
	switch {
	case c == nil:
		c = &claim{rank: by}
		v.names[name] = c
	case by < c.rank:
		*c = claim{rank: by, short: c.short}
	}
	c.short = c.short || by != rankZone
	if by > c.rank {
		return
	}
	for _, m := range members {
		if target := v.target(m); target.Name != "" {
			c.targets = append(c.targets, target)
		}
	}
	for _, p := range t.ports {
		if !slices.Contains(c.ports, p) {
			c.ports = append(c.ports, p)
		}
	}
}

// target is where names lead to for m: nowhere unless it answers.
func (v *view) target(m *member) record.Target {
	target, known := v.known[m]
	if !known {
		if v.r.answers(m) {
			target = record.Target{Name: m.name(), Addr4: m.e.Addr4, Addr6: m.e.Addr6}
		}
		v.known[m] = target
	}
	return target
}

// add shows a what of s is in its reach.
func (v *view) add(a *member, s sight) {
	common, links := shared(a.terms, s.terms), links(a, s.svc.id, s.terms)
	if len(common) == 0 && len(links) == 0 {
		return
	}
	own, ownHost := rankOwn, rankOwnHost
	if s.svc.app != a.of.app {
		own, ownHost = rankOther, rankOtherHost
	}
	v.zone(s)
	v.claim(s.svc.service, own, s.terms, s.members...)
	for _, l := range links {
		v.claim(l.Alias, rankLink, s.terms, s.members...)
	}
	for _, n := range common {
		for _, alias := range s.terms.networks[n] {
			v.claim(alias, own, s.terms, s.members...)
		}
	}
	if spec := s.svc.spec; spec != nil {
		v.claim(spec.ContainerName, own, s.terms)
		v.claim(spec.Hostname, ownHost, s.terms)
	}
	for _, m := range s.members {
		v.claim(m.e.ContainerName, own, s.terms, m)
		v.claim(m.e.Hostname, ownHost, s.terms, m)
	}
}

// zone adds the names that are relative to the zone.
func (v *view) zone(s sight) {
	if s.svc.service != "" {
		v.claim(s.svc.zone(), rankZone, s.terms, s.members...)
		v.claim("tasks."+s.svc.zone(), rankZone, s.terms, s.members...)
	}
	if s.svc.spec != nil {
		for slot := 1; slot <= s.svc.spec.Replicas; slot++ {
			v.claim(strconv.Itoa(slot)+"."+s.svc.zone(), rankZone, s.terms)
		}
	}
	for _, m := range s.members {
		v.instance(m)
	}
}

// instance adds the name of one endpoint, and its addresses. Where the record of
// an endpoint that is gone still holds its address, the running one has it.
func (v *view) instance(m *member) {
	v.claim(m.name(), rankZone, m.terms, m)
	for _, addr := range []netip.Addr{m.e.Addr4, m.e.Addr6} {
		if addr.IsValid() && (m.e.Running || v.ptr[addr] == "") {
			v.ptr[addr] = record.Normal(m.name())
		}
	}
}

// hostAnswers is every host by its underlay address. A suspended one has none.
// Every view of the snapshot shares them.
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

// view is what was collected, and the hosts, whose names nobody can take.
func (v *view) view() record.View {
	hosts := v.r.hosts()
	names := make(map[string]record.Answers, len(v.names)+len(hosts))
	for name, c := range v.names {
		slices.SortFunc(c.targets, byName)
		names[name] = record.Answers{Short: c.short, Targets: slices.Compact(c.targets), Ports: c.ports}
	}
	maps.Copy(names, hosts)
	return record.View{Index: v.r.s.Index, Names: names, PTR: v.ptr}
}

func byName(a, b record.Target) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), a.Addr4.Compare(b.Addr4), a.Addr6.Compare(b.Addr6))
}
