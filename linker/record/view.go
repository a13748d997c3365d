package record

import (
	"net/netip"
	"strings"
)

// View has the names and addresses that one asker may see. Names are relative to the
// zone, in lower case and without a trailing dot:
//
//	db, alias, container name, hostname,  short names of the services that the asker
//	container ID (12 digits)              may reach, and of their containers; some have dots
//	db.shop                               service of an app
//	tasks.db.shop                         its instances
//	2.db.shop                             instance 2
//	h1.host                               the underlay address of host h1
//
// Instances finds further short names:
//
//	tasks.db                              the instances of what db leads to
//	2.db, db-2, shop-db-2, shop_db_2      instance 2 of it
//
// A name without targets exists, but there is no answer now (NOERROR without data). A
// name that is not in Names, and that Instances does not find, does not exist (NXDOMAIN).
type View struct {
	Index uint64                `json:"index"` // of the Snapshot it was computed from
	Names map[string]Answers    `json:"names"`
	PTR   map[netip.Addr]string `json:"ptr"` // visible address -> relative name of its instance

	Instances Instances `json:"-"` // nil: there are no more names than in Names

	// Internal means that the asker has no egress. Its queries are not forwarded, because
	// a query can carry data to the outside, too.
	Internal bool `json:"internal,omitempty"`
}

// Instances answers the names of instances that are not in View.Names. Both methods take
// names in the spelling of Normal, and are safe for concurrent use.
type Instances interface {
	// Find returns the answers for a name, and false if the view has no such name.
	Find(name string) (Answers, bool)
	// Ours reports whether a name that the view does not have can only be the name of an
	// instance of some app. It must not leave the host.
	Ours(name string) bool
}

// InZone returns the answers for a name relative to the zone. It returns false if the name
// does not exist.
func (v *View) InZone(name string) (Answers, bool) {
	if a, ok := v.Names[name]; ok {
		return a, true
	}
	return v.find(name)
}

// Bare returns the answers for a name without the zone's suffix. It returns false if the
// name does not exist, or only below the zone.
func (v *View) Bare(name string) (Answers, bool) {
	if a := v.Names[name]; a.Short {
		return a, true
	}
	return v.find(name)
}

func (v *View) find(name string) (Answers, bool) {
	if v.Instances == nil {
		return Answers{}, false
	}
	return v.Instances.Find(name)
}

// Ours reports whether a name without the zone's suffix must not leave the host: a single
// label, or a name that can only be that of an instance.
func (v *View) Ours(name string) bool {
	return !strings.Contains(name, ".") || v.Instances != nil && v.Instances.Ours(name)
}

// Answers are the answers for one name.
type Answers struct {
	Short   bool     `json:"short,omitempty"` // the name is answered also without the zone
	Targets []Target `json:"targets"`         // the instances, or the host, to which the name leads now
	Ports   []Port   `json:"ports,omitempty"` // for SRV

	// Services has the addresses of the services to which the name leads. If it has any,
	// queries for addresses get these and not Targets. SRV records always lead to Targets.
	Services []Target `json:"services,omitempty"`
}

// Addresses returns the targets whose addresses answer the name.
func (a Answers) Addresses() []Target {
	if len(a.Services) > 0 {
		return a.Services
	}
	return a.Targets
}

// Target is an instance, a service or a host to which a name leads.
type Target struct {
	Name  string     `json:"name"` // relative to the zone: "2.db.shop", "h1.host"
	Addr4 netip.Addr `json:"addr4,omitzero"`
	Addr6 netip.Addr `json:"addr6,omitzero"`
}
