package record

import "net/netip"

// View is what one asker may see. Names are relative to the zone, lower case and
// without a trailing dot:
//
//	db, alias, container name, host name   short names in the asker's own reach; some
//	                                       hold dots
//	db.shop                                service of an app: its answering instances
//	tasks.db.shop                          the same, never a VIP
//	2.db.shop                              instance 2
//	h1.host                                the underlay address of host h1
//
// A name that is a key with no targets exists but has nothing to answer now
// (NOERROR without data); a name that is no key does not exist (NXDOMAIN).
type View struct {
	Index uint64                `json:"index"` // of the Snapshot it was computed from
	Names map[string]Answers    `json:"names"`
	PTR   map[netip.Addr]string `json:"ptr"` // visible address -> relative name of its instance

	// Internal says that the asker has no egress: for it nothing is forwarded,
	// as a question can carry out as much as a packet.
	Internal bool `json:"internal,omitempty"`
}

// Answers is what one visible name leads to.
type Answers struct {
	Short   bool     `json:"short,omitempty"` // answered without the zone's suffix too
	Targets []Target `json:"targets"`         // healthy, not draining, host not suspended
	Ports   []Port   `json:"ports,omitempty"` // for SRV
}

// Target is one address holder.
type Target struct {
	Name  string     `json:"name"` // relative name of the instance, "2.db.shop"
	Addr4 netip.Addr `json:"addr4,omitzero"`
	Addr6 netip.Addr `json:"addr6,omitzero"`
}
