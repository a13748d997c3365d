package linker

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tombolo/linker/gossip"
	"tombolo/linker/problem"
)

// conflictAge is how long a conflict of names is reported after it was last seen:
// somewhat longer than the time between two digest exchanges.
const conflictAge = 45 * time.Second

// nameConflicts finds machines that use one name.
type nameConflicts struct {
	self   string
	gossip interface {
		Conflicts(age time.Duration) []gossip.Conflict
	}
	problems *problem.Set
}

// NameTaken reports whether another machine uses this host's name.
func (n nameConflicts) NameTaken() bool {
	return slices.ContainsFunc(n.gossip.Conflicts(conflictAge), func(c gossip.Conflict) bool { return c.Name == n.self })
}

func (n nameConflicts) report() {
	var errs []error
	for _, c := range n.gossip.Conflicts(conflictAge) {
		if c.Name == n.self {
			errs = append(errs, problem.About(c.Name, fmt.Errorf("another machine, %s, calls itself %s too", c.Other.Addr(), c.Name)))
		} else {
			errs = append(errs, problem.About(c.Name, fmt.Errorf("%s and %s both call themselves %s", c.Holder.Addr(), c.Other.Addr(), c.Name)))
		}
	}
	n.problems.Report(problem.HostNameTaken, errors.Join(errs...))
}
