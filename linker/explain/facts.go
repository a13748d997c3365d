package explain

import (
	"net/netip"

	"tombolo/linker/inspect"
	"tombolo/linker/problem"
	"tombolo/linker/reach"
	"tombolo/linker/record"
)

// Facts are what is known about the way from one party to another.
type Facts struct {
	Snapshot *record.Snapshot
	Relation *reach.Relation // of Snapshot
	From, To Party
	Port     record.Port     // number 0: any
	Name     string          // by which From asks for To; "": it uses an address
	Resolved *Resolution     // nil: nobody could be asked
	Hosts    map[string]Host // by name; those of From and To are the ones that count

	// Ways has what From's host sees of the way to an instance, and Ends what the instance's
	// host sees of it. Both are by the instance's key, or "" for an address that no container
	// has. One that is missing could not be asked for.
	Ways, Ends map[string]inspect.Result
}

// Host is a host, as its own linker describes it.
type Host struct {
	Error    string // why its linker could not be asked; ""
	Problems []problem.Problem
}

// Resolution is what a name means to the asker.
type Resolution struct {
	Exists    bool
	Service   bool            // it leads to a service's address
	Addresses []netip.Addr    // which the name answers
	Instances []record.Target // that answer there now
}

// Party is one end of the way.
type Party struct {
	Text      string // as the user wrote it
	Outside   bool   // the world beyond the overlay
	Addr      netip.Addr
	App       string // of a service or an instance; "": neither
	Service   string
	Endpoints []*record.Endpoint // the container, or the instances of the service, by slot
	Whole     bool               // Endpoints are all instances of the service, not a certain one
}

// Key returns the key of the party's first endpoint; "" if it has none.
func (p Party) Key() string {
	if len(p.Endpoints) == 0 {
		return ""
	}
	return p.Endpoints[0].Key()
}
