package overlay

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// The key of an element of an nft set is the concatenation of its fields, in the bytes that
// the kernel stores. Each field is padded to a multiple of 32 bits.

func ifnameField(name string) string {
	raw := make([]byte, 16) // IFNAMSIZ
	copy(raw, name)
	return string(raw)
}

func addrField(a netip.Addr) string { return string(a.AsSlice()) }

// protoNumbers has the transport protocols with ports.
var protoNumbers = map[string]byte{"tcp": 6, "udp": 17, "sctp": 132}

func protoField(proto string) string { return string([]byte{protoNumbers[proto], 0, 0, 0}) }

func portField(port uint16) string {
	raw := make([]byte, 4)
	binary.BigEndian.PutUint16(raw, port)
	return string(raw)
}

// bucketField is in the machine's byte order, as the kernel's random number is.
func bucketField(n int) string {
	return string(binary.NativeEndian.AppendUint32(nil, uint32(n)))
}

// amongChain starts the names of the chains that lead to one of some targets.
const amongChain = "among_"

// amongVerdict is the value of an element that leads on to such a chain.
func amongVerdict(targets int) string { return amongChain + strconv.Itoa(targets) }

// markField is in the machine's byte order, as the mark of a packet is.
func markField(n uint32) string { return string(binary.NativeEndian.AppendUint32(nil, n)) }

var fieldSizes = map[string]int{"ifname": 16, "ipv4_addr": 4, "mark": 4, "ipv6_addr": 16, "inet_proto": 4, "inet_service": 4, "bucket": 4}

// fieldsText returns the nft text of a concatenation of the given type.
func fieldsText(typ, raw string) string {
	if typ == "verdict" {
		return "goto " + raw
	}
	var texts []string
	for _, field := range strings.Split(typ, " . ") {
		size := fieldSizes[field]
		if len(raw) < size {
			panic(fmt.Sprintf("overlay: %d bytes left for a %s of %s", len(raw), field, typ))
		}
		texts = append(texts, fieldText(field, raw[:size]))
		raw = raw[size:]
	}
	return strings.Join(texts, " . ")
}

func fieldText(field, raw string) string {
	switch field {
	case "ifname":
		return strconv.Quote(strings.TrimRight(raw, "\x00"))
	case "inet_proto":
		for name, number := range protoNumbers {
			if raw[0] == number {
				return name
			}
		}
		return strconv.Itoa(int(raw[0]))
	case "bucket":
		return strconv.Itoa(int(binary.NativeEndian.Uint32([]byte(raw))))
	case "mark":
		return fmt.Sprintf("%#08x", binary.NativeEndian.Uint32([]byte(raw)))
	case "inet_service":
		return strconv.Itoa(int(binary.BigEndian.Uint16([]byte(raw))))
	}
	addr, _ := netip.AddrFromSlice([]byte(raw))
	return addr.String()
}
