package ipam

import (
	"encoding/binary"
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

// Nth returns block number n of the given prefix length in pool; ok is false if the pool
// has no such block. A host's blocks in the IPv4 and the IPv6 pool have the same number.
func Nth(pool netip.Prefix, bits int, n uint32) (_ netip.Prefix, ok bool) {
	if !pool.IsValid() || bits < pool.Bits() || bits > pool.Addr().BitLen() {
		return netip.Prefix{}, false
	}
	if width := bits - pool.Bits(); width < 32 && n>>width != 0 {
		return netip.Prefix{}, false
	}
	b := pool.Masked().Addr().As16()
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	if shift := pool.Addr().BitLen() - bits; shift >= 64 {
		hi |= uint64(n) << (shift - 64)
	} else {
		lo |= uint64(n) << shift
		hi |= uint64(n) >> (64 - shift) // 0 when shift is 0, as Go defines it
	}
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return netip.PrefixFrom(unmap(netip.AddrFrom16(b), pool), bits), true
}

// at returns the address with number i in block.
func at(block netip.Prefix, i uint32) netip.Addr {
	b := block.Masked().Addr().As16()
	binary.BigEndian.PutUint32(b[12:], binary.BigEndian.Uint32(b[12:])|i)
	return unmap(netip.AddrFrom16(b), block)
}

// index returns the number of addr in block; ok is false if addr is outside of block, or
// if its number needs more than 32 bits.
func index(block netip.Prefix, addr netip.Addr) (_ uint32, ok bool) {
	if !block.IsValid() || !block.Contains(addr) {
		return 0, false
	}
	base, a := block.Masked().Addr().As16(), addr.As16()
	for i := range 12 {
		if base[i] != a[i] {
			return 0, false
		}
	}
	return binary.BigEndian.Uint32(a[12:]) - binary.BigEndian.Uint32(base[12:]), true
}

func unmap(a netip.Addr, like netip.Prefix) netip.Addr {
	if like.Addr().Is4() {
		return a.Unmap()
	}
	return a
}
