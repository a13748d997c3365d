package block

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"

	"tombolo/linker/ipam"
	"tombolo/linker/record"
)

// errNoBlock says that the pool has no block left.
var errNoBlock = errors.New("other hosts hold every block of the pool: this host takes no containers (start every host with a larger pool: --pool)")

// Rules say which blocks a host may claim.
type Rules struct {
	Host  string       // this host's name
	Pool4 netip.Prefix // at least one block of Bits4
	Pool6 netip.Prefix // unset: no IPv6
	Fixed netip.Prefix // the block that the operator chose, even if others claim it; unset: any
}

// choose returns a block that no other host claims. Suspended hosts count, because
// their containers may be alive. A host that lost its state gets back the block that
// its peers remember. Otherwise the search starts at a place that depends on the host's
// name, so that hosts which start together seldom choose the same block.
func (r Rules) choose(s *record.Snapshot) (Claim, error) {
	if old := s.Hosts[r.Host]; old != nil {
		claim := Claim{Block4: old.Block4, Block6: old.Block6, Claimed: old.Claimed}
		if r.allow(claim) && !r.taken(s, claim.Block4) {
			return claim, nil
		}
	}
	count := uint32(1) << (Bits4 - r.Pool4.Bits())
	hash := fnv.New32a()
	hash.Write([]byte(r.Host))
	first := hash.Sum32() % count
	for i := range count {
		n := (first + i) % count
		block4 := ipam.Nth(r.Pool4, Bits4, n)
		if r.Fixed.IsValid() && block4 != r.Fixed {
			continue
		}
		if !r.Fixed.IsValid() && (block4.Overlaps(ServiceRange4(r.Pool4)) || r.taken(s, block4)) {
			continue
		}
		return Claim{Block4: block4, Block6: ipam.Nth(r.Pool6, Bits6, n)}, nil
	}
	return Claim{}, errNoBlock
}

// allow reports whether the configuration permits a claim.
func (r Rules) allow(c Claim) bool {
	if r.Fixed.IsValid() && r.Fixed != c.Block4 || !Within(c.Block4, r.Pool4) || c.Block4.Overlaps(ServiceRange4(r.Pool4)) {
		return false
	}
	return Within(c.Block6, r.Pool6) || !c.Block6.IsValid() && !r.Pool6.IsValid()
}

func (r Rules) taken(s *record.Snapshot, block4 netip.Prefix) bool {
	return oldestClaim(s, r.Pool4, r.Host, block4) != nil
}

// contested returns nil if this host's claim is the oldest one of its block, or else an
// error that names the host with the oldest claim.
func (r Rules) contested(s *record.Snapshot, c Claim) error {
	h := OlderClaim(s, r.Pool4, &record.Host{Name: r.Host, Block4: c.Block4, Claimed: c.Claimed})
	if h == nil {
		return nil
	}
	return fmt.Errorf("block %s belongs to host %s, which claimed it first (%s): this host takes no new containers (stop its containers so that it can choose another block, or name one with --block)",
		c.Block4, h.Name, h.Claimed.Format(time.RFC3339))
}

// majority reports whether this host and the others that answer are more than half of
// all hosts known, this host included.
func majority(answering, known int) bool { return 2*(answering+1) > known+1 }
