package linker

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// conflictAge is how long a conflict of identities is reported after it was last seen:
// somewhat longer than the time between two digest exchanges.
const conflictAge = 45 * time.Second

// nameConflicts finds machines that use one identity, and machines that use one name.
type nameConflicts struct {
	self   string // record.Host.Key
	gossip interface {
		Conflicts(age time.Duration) []gossip.Conflict
	}
	catalog  *catalog.Catalog
	problems *problem.Set
}

// IdentityTaken reports whether another machine uses this host's identity.
func (n nameConflicts) IdentityTaken() bool {
	return slices.ContainsFunc(n.gossip.Conflicts(conflictAge), func(c gossip.Conflict) bool { return c.Name == n.self })
}

func (n nameConflicts) report() {
	s := n.catalog.Snapshot()
	n.problems.Report(problem.HostIdentityTaken, n.copies(s))
	n.problems.Report(problem.HostNameTaken, namesakes(s))
}

// copies names the machines that use one identity: one has a copy of the other one's disk.
func (n nameConflicts) copies(s *record.Snapshot) error {
	var errs []error
	for _, c := range n.gossip.Conflicts(conflictAge) {
		name := s.HostName(c.Name)
		if c.Name == n.self {
			errs = append(errs, problem.About(name, fmt.Errorf("another machine, %s, has the identity of this host, %s", c.Other.Addr(), c.Name)))
		} else {
			errs = append(errs, problem.About(name, fmt.Errorf("%s and %s both have the identity %s", c.Holder.Addr(), c.Other.Addr(), c.Name)))
		}
	}
	return errors.Join(errs...)
}

// namesakes names the hosts that answer and have one name.
func namesakes(s *record.Snapshot) error {
	named := map[string]*record.Host{}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(s.Hosts)) {
		h := s.Hosts[key]
		if s.Suspended[key] {
			continue
		}
		if other := named[h.Name]; other != nil {
			errs = append(errs, problem.About(h.Name, fmt.Errorf("%s (%s) and %s (%s) both call themselves %s",
				other.Underlay, other.Key(), h.Underlay, key, h.Name)))
		}
		named[h.Name] = h
	}
	return errors.Join(errs...)
}
