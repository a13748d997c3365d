package block

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"

	"tombolo/linker/ipam"
	"tombolo/linker/record"
)

// Bits4 and Bits6 are the prefix lengths of a host's blocks in the two pools.
const (
	Bits4 = 24
	Bits6 = 80
)

// ServiceRange4 returns the part of an IPv4 pool that no host may claim: each linker uses it
// for service addresses, which are valid on its own host only. It is the last 64th of the
// pool, 100.127.0.0/16 of the default one, and at least a block. Pools of less than 16
// blocks have none, because each block counts there.
func ServiceRange4(pool netip.Prefix) netip.Prefix {
	const share, fewest = 6, 4 // in bits: one 64th, 16 blocks
	if !pool.IsValid() || pool.Bits() > Bits4-fewest {
		return netip.Prefix{}
	}
	bits := min(pool.Bits()+share, Bits4)
	return ipam.Nth(pool, bits, 1<<(bits-pool.Bits())-1)
}

// ServiceRange6 returns the range for IPv6 service addresses: the last /80 of the pool.
// Blocks have the numbers of IPv4 blocks, which are smaller.
func ServiceRange6(pool netip.Prefix) netip.Prefix {
	if !pool.IsValid() || Bits6-pool.Bits() > 32 {
		return netip.Prefix{}
	}
	return ipam.Nth(pool, Bits6, uint32(1<<(Bits6-pool.Bits())-1))
}

// Claim is a host's hold on a block of each pool.
type Claim struct {
	Block4  netip.Prefix `json:"block4,omitzero"`  // unset: the host has no block
	Block6  netip.Prefix `json:"block6,omitzero"`  // has the number of Block4; unset: no IPv6
	Claimed time.Time    `json:"claimed,omitzero"` // when the host first announced it, for people; zero: not announced yet
}

// Within reports whether block is a part of pool.
func Within(block, pool netip.Prefix) bool {
	return block.IsValid() && pool.Bits() <= block.Bits() && pool.Contains(block.Addr())
}

// Pair6 returns the block of pool6 that belongs to a block of pool4: the one with the same
// number. It is unset if there is none.
func Pair6(pool4, pool6, block4 netip.Prefix) netip.Prefix {
	n, ok := ipam.Number(pool4, block4)
	if !ok || block4.Bits() != Bits4 {
		return netip.Prefix{}
	}
	return ipam.Nth(pool6, Bits6, n)
}

// PriorClaim returns the host whose claim of h's block, or of a part of it, comes before all
// others, or nil if that is h. It ignores claims of blocks outside the pool.
func PriorClaim(s *record.Snapshot, pool netip.Prefix, h *record.Host) *record.Host {
	if first := firstClaim(s, pool, h.Key(), h.Block4); first != nil && prior(first, h) {
		return first
	}
	return nil
}

// firstClaim returns the host, other than self, whose claim of block or of a part of it comes
// before all others, or nil.
func firstClaim(s *record.Snapshot, pool netip.Prefix, self string, block netip.Prefix) *record.Host {
	var first *record.Host
	for _, h := range s.Hosts {
		if h.Key() != self && Within(h.Block4, pool) && h.Block4.Overlaps(block) && (first == nil || prior(h, first)) {
			first = h
		}
	}
	return first
}

// prior reports whether a keeps a block that b claims, too. The firmer hold wins: a host with
// containers keeps its block, and a newcomer never takes a block from a host that has settled.
// Identities decide between equal holds, so that every host comes to the same result. Times do not
// decide, because the clocks of hosts differ.
func prior(a, b *record.Host) bool {
	return cmp.Or(b.Hold.Compare(a.Hold), cmp.Compare(a.Key(), b.Key())) < 0
}

// errNoBlock says that the pool has no block left.
var errNoBlock = errors.New("other hosts hold every block of the pool: this host takes no containers (start every host with a larger pool: --pool)")

// Rules say which blocks a host may claim.
type Rules struct {
	Host  string       // this host's record.Host.Key
	Pool4 netip.Prefix // at least one block of Bits4
	Pool6 netip.Prefix // unset: no IPv6
	Fixed netip.Prefix // the block that the operator chose, even if others claim it; unset: any
}

// choose returns a block that no other host claims. Suspended hosts count, because
// their containers may be alive. A host that lost its state gets back the block that
// its peers remember. Otherwise the search starts at a place that depends on the host's
// identity, so that hosts which start together seldom choose the same block.
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
	return firstClaim(s, r.Pool4, r.Host, block4) != nil
}

// contested returns nil if this host keeps its block, or else an error that names the host
// to which the block belongs.
func (r Rules) contested(s *record.Snapshot, c Claim, hold record.Hold) error {
	h := PriorClaim(s, r.Pool4, &record.Host{Name: r.Host, Block4: c.Block4, Hold: hold})
	if h == nil {
		return nil
	}
	return fmt.Errorf("block %s belongs to host %s (%s): this host takes no new containers",
		c.Block4, h.Name, h.Underlay)
}

// rivals returns the other hosts that claim this host's block or a part of it.
func (r Rules) rivals(s *record.Snapshot, c Claim) (all []*record.Host) {
	for _, h := range s.Hosts {
		if h.Key() != r.Host && Within(h.Block4, r.Pool4) && h.Block4.Overlaps(c.Block4) {
			all = append(all, h)
		}
	}
	return all
}

// majority reports whether this host and the others that answer are more than half of
// all hosts known, this host included.
func majority(answering, known int) bool { return 2*(answering+1) > known+1 }
