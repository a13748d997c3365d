package firewall

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LegacyDigest returns a digest of the rules of legacy iptables in the calling thread's network
// namespace, IPv4 and IPv6, without their counters. The kernel tells nobody when these rules
// change, and to read them this way costs some microseconds. Without such tables it is always
// the same.
func LegacyDigest() ([sha256.Size]byte, error) {
	h := sha256.New()
	for _, b := range legacyBackends() {
		blob, err := legacyRules(legacySockets[b.family])
		if err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("read the rules of %s: %w", b, err)
		}
		h.Write(blob)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// legacySocket says how one family's rules are read: include/uapi/linux/netfilter_ipv4/ip_tables.h
// and netfilter_ipv6/ip6_tables.h.
type legacySocket struct {
	domain, level int
	comefrom      int // offset of ipt_entry.comefrom, after which the counters follow
}

var legacySockets = map[int]legacySocket{
	4: {unix.AF_INET, unix.SOL_IP, 92},
	6: {unix.AF_INET6, unix.SOL_IPV6, 144},
}

const (
	getInfo    = 64 // IPT_SO_GET_INFO and IP6T_SO_GET_INFO
	getEntries = 65 // IPT_SO_GET_ENTRIES and IP6T_SO_GET_ENTRIES

	legacyNameLen  = 32                                // XT_TABLE_MAXNAMELEN
	infoSize       = legacyNameLen + 4 + 5*4 + 5*4 + 8 // struct ipt_getinfo
	infoEntries    = infoSize - 4                      // offset of its size
	entriesHead    = legacyNameLen + 8                 // struct ipt_get_entries, with padding
	countersLength = 4 + 4 + 16                        // comefrom, padding, ipt_counters
)

// legacyRules returns the kernel's entries of the table filter, with counters of zero.
func legacyRules(s legacySocket) ([]byte, error) {
	fd, err := unix.Socket(s.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	info := make([]byte, infoSize)
	copy(info, "filter")
	if err := getsockopt(fd, s.level, getInfo, info); err != nil {
		return nil, err
	}
	size := binary.NativeEndian.Uint32(info[infoEntries:])
	blob := make([]byte, entriesHead+int(size))
	copy(blob, "filter")
	binary.NativeEndian.PutUint32(blob[legacyNameLen:], size)
	if err := getsockopt(fd, s.level, getEntries, blob); err != nil {
		return nil, err
	}
	entries := blob[entriesHead:]
	s.clearCounters(entries)
	return append(info[:infoEntries:infoEntries], entries...), nil
}

// clearCounters zeroes what changes in entries without a change of rules.
func (s legacySocket) clearCounters(entries []byte) {
	for at := 0; at+s.comefrom+countersLength <= len(entries); {
		clear(entries[at+s.comefrom : min(at+(s.comefrom+4+7)&^7+16, len(entries))])
		next := int(binary.NativeEndian.Uint16(entries[at+s.comefrom-2:]))
		if next <= 0 {
			return
		}
		at += next
	}
}

func getsockopt(fd, level, name int, value []byte) error {
	length := uint32(len(value))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
