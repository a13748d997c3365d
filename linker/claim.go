package linker

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

// claim is a host's hold on a block of the pool, IPv4 and IPv6 in step.
type claim struct {
	Block4  netip.Prefix
	Block6  netip.Prefix
	Claimed time.Time
}

// errNoBlock says that the pool has no block left.
var errNoBlock = errors.New("every block of the pool is taken: this host takes no containers")

// chooseBlock finds a block that no host of s holds, suspended ones included: their
// containers may live. A host that has lost its state gets back what peers remember
// of it. Else the search begins where the host's name says, so that hosts which
// start together seldom want the same one.
func chooseBlock(cfg Config, s *record.Snapshot) (claim, error) {
	if old := s.Hosts[cfg.Host]; old != nil && cfg.suits(old.Block4, old.Block6) && holder(s, cfg.Pool4, cfg.Host, old.Block4) == nil {
		return claim{Block4: old.Block4, Block6: old.Block6, Claimed: old.Claimed}, nil
	}
	count := uint32(1) << (BlockBits4 - cfg.Pool4.Bits())
	h := fnv.New32a()
	h.Write([]byte(cfg.Host))
	first := h.Sum32() % count
	for i := range count {
		n := (first + i) % count
		block4, _ := ipam.Nth(cfg.Pool4, BlockBits4, n) // n is below count
		if cfg.Block.IsValid() {
			if block4 != cfg.Block {
				continue
			}
		} else if block4.Overlaps(VIPRange) || holder(s, cfg.Pool4, cfg.Host, block4) != nil {
			continue
		}
		block6, _ := ipam.Nth(cfg.Pool6, BlockBits6, n) // unset without an IPv6 pool
		return claim{Block4: block4, Block6: block6}, nil
	}
	return claim{}, errNoBlock
}

// suits reports whether a block is what the configuration asks for.
func (c Config) suits(block4, block6 netip.Prefix) bool {
	if c.Block.IsValid() && c.Block != block4 || !within(block4, c.Pool4) {
		return false
	}
	return within(block6, c.Pool6) || !block6.IsValid() && !c.Pool6.IsValid()
}

// within reports whether block is a part of pool.
func within(block, pool netip.Prefix) bool {
	return block.IsValid() && pool.Bits() <= block.Bits() && pool.Contains(block.Addr())
}

// holder is a host other than self whose block overlaps block: the first to have
// claimed it, should there be several. What is not of the pool claims nothing.
func holder(s *record.Snapshot, pool netip.Prefix, self string, block netip.Prefix) *record.Host {
	var first *record.Host
	for _, h := range s.Hosts {
		if h.Name != self && within(h.Block4, pool) && h.Block4.Overlaps(block) && (first == nil || older(h, first)) {
			first = h
		}
	}
	return first
}

// older orders two claims of one block: the one made first holds. Equal times, of
// which clocks are capable, are decided by name.
func older(a, b *record.Host) bool {
	return cmp.Or(a.Claimed.Compare(b.Claimed), cmp.Compare(a.Name, b.Name)) < 0
}

// contested says who holds the block of self with an older claim, or is nil.
func contested(s *record.Snapshot, pool netip.Prefix, self *record.Host) error {
	h := holder(s, pool, self.Name, self.Block4)
	if h == nil || !older(h, self) {
		return nil
	}
	return fmt.Errorf("block %s belongs to host %s, which claimed it first (%s): this host takes no new containers until one of the two has another block",
		self.Block4, h.Name, h.Claimed.Format(time.RFC3339))
}

// enough reports whether alive others besides this host are a majority of the
// hosts last known, this one included.
func enough(alive, known int) bool { return 2*(alive+1) > known+1 }
