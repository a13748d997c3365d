package block

import (
	"cmp"
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
	Claimed time.Time    `json:"claimed,omitzero"` // when the host first announced it; zero: not announced yet
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

// OlderClaim returns the host with the oldest claim that overlaps h's block, or nil if
// h's own claim is the oldest. It ignores claims of blocks outside the pool.
func OlderClaim(s *record.Snapshot, pool netip.Prefix, h *record.Host) *record.Host {
	if first := oldestClaim(s, pool, h.Name, h.Block4); first != nil && older(first, h) {
		return first
	}
	return nil
}

// oldestClaim returns the host, other than self, that was the first to claim block or a
// part of it, or nil.
func oldestClaim(s *record.Snapshot, pool netip.Prefix, self string, block netip.Prefix) *record.Host {
	var first *record.Host
	for _, h := range s.Hosts {
		if h.Name != self && Within(h.Block4, pool) && h.Block4.Overlaps(block) && (first == nil || older(h, first)) {
			first = h
		}
	}
	return first
}

// older orders two claims by their time. Names decide between equal times, so that
// every host comes to the same result.
func older(a, b *record.Host) bool {
	return cmp.Or(a.Claimed.Compare(b.Claimed), cmp.Compare(a.Name, b.Name)) < 0
}
