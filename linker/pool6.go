package linker

import (
	"crypto/rand"
	"net/netip"
)

// RandomPool6 makes an IPv6 pool for a new cluster: a unique local /48 whose 40
// random bits set it apart from other networks' (RFC 4193, section 3.2). Every host
// of the cluster needs the same one, so whoever makes the cluster keeps it.
func RandomPool6() netip.Prefix {
	var a [16]byte
	a[0] = 0xfd
	rand.Read(a[1:6]) // it never fails
	return netip.PrefixFrom(netip.AddrFrom16(a), 48)
}
