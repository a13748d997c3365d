package record

import "net/netip"

// View has the names and addresses that one asker may see. Names are relative to the
// zone, in lower case and without a trailing dot:
//
//	db, alias, container name, hostname   short names of the services that the asker
//	                                      may reach; some have dots
//	db.shop                               service of an app: its answering instances
//	tasks.db.shop                         the same, never a VIP
//	2.db.shop                             instance 2
//	h1.host                               the underlay address of host h1
//
// A name without targets exists, but there is no answer now (NOERROR without data). A
// name that is not in Names does not exist (NXDOMAIN).
type View struct {
	Index uint64                `json:"index"` // of the Snapshot it was computed from
	Names map[string]Answers    `json:"names"`
	PTR   map[netip.Addr]string `json:"ptr"` // visible address -> relative name of its instance

	// Internal means that the asker has no egress. Its queries are not forwarded, because
	// a query can carry data to the outside, too.
	Internal bool `json:"internal,omitempty"`
}

// Answers are the answers for one name.
type Answers struct {
	Short   bool     `json:"short,omitempty"` // the name is answered also without the zone
	Targets []Target `json:"targets"`         // healthy, not drained, and not on a suspended host
	Ports   []Port   `json:"ports,omitempty"` // for SRV
}

// Target is an instance or a host to which a name leads.
type Target struct {
	Name  string     `json:"name"` // relative to the zone: "2.db.shop", "h1.host"
	Addr4 netip.Addr `json:"addr4,omitzero"`
	Addr6 netip.Addr `json:"addr6,omitzero"`
}
