package ipam

import (
	"math/big"
	"net/netip"
)

// hostIndex is the number of the host's own overlay address in its block. Number 0 stays
// unused, because some software refuses addresses that end in .0.
const hostIndex = 1

// HostAddr returns the address of the host itself in its block. It returns the zero Addr
// for the zero Prefix.
func HostAddr(block netip.Prefix) netip.Addr {
	if !block.IsValid() {
		return netip.Addr{}
	}
	return at(block, hostIndex)
}

// Nth returns block number n of the given prefix length in pool, or the zero Prefix if
// the pool has no such block. A host's blocks in the IPv4 and the IPv6 pool have the same
// number.
func Nth(pool netip.Prefix, bits int, n uint32) netip.Prefix {
	width := bits - pool.Bits()
	if !pool.IsValid() || width < 0 || bits > pool.Addr().BitLen() || width < 32 && n>>width != 0 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(shifted(pool, n, pool.Addr().BitLen()-bits), bits)
}

// Number returns the n with which Nth yields block; ok is false if block is no part of
// pool.
func Number(pool, block netip.Prefix) (n uint32, ok bool) {
	if !pool.IsValid() || !block.IsValid() || block.Bits() < pool.Bits() || !pool.Contains(block.Addr()) {
		return 0, false
	}
	first := new(big.Int).SetBytes(pool.Masked().Addr().AsSlice())
	number := new(big.Int).SetBytes(block.Masked().Addr().AsSlice())
	number.Sub(number, first).Rsh(number, uint(block.Addr().BitLen()-block.Bits()))
	return uint32(number.Uint64()), number.BitLen() <= 32
}

// at returns the address with number i in block.
func at(block netip.Prefix, i uint32) netip.Addr { return shifted(block, i, 0) }

// shifted returns the first address of block with the bits of n<<shift set.
func shifted(block netip.Prefix, n uint32, shift int) netip.Addr {
	raw := block.Masked().Addr().AsSlice()
	first := new(big.Int).SetBytes(raw)
	offset := big.NewInt(int64(n))
	addr, _ := netip.AddrFromSlice(first.Or(first, offset.Lsh(offset, uint(shift))).FillBytes(raw))
	return addr
}

// index returns the number of addr in block; ok is false if addr is outside of block, or
// if its number needs more than 32 bits.
func index(block netip.Prefix, addr netip.Addr) (_ uint32, ok bool) {
	if !block.Contains(addr) {
		return 0, false
	}
	first := new(big.Int).SetBytes(block.Masked().Addr().AsSlice())
	number := new(big.Int).SetBytes(addr.AsSlice())
	number.Sub(number, first)
	return uint32(number.Uint64()), number.BitLen() <= 32
}
