package overlay

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// element is a member of an nft set or map: as text for nft, and as the bytes
// that the kernel stores, so that what stands there can be compared.
type element struct {
	text  string
	key   string
	value string // of a map's element
}

// part is one field of a concatenated key or value.
type part struct{ text, raw string }

func ifnamePart(name string) part {
	raw := make([]byte, 16) // IFNAMSIZ
	copy(raw, name)
	return part{strconv.Quote(name), string(raw)}
}

func addrPart(a netip.Addr) part { return part{a.String(), string(a.AsSlice())} }

// protoNumbers are the transports that have ports.
var protoNumbers = map[string]byte{"tcp": 6, "udp": 17, "sctp": 132}

// Fields of a concatenation are padded to 32 bits by the kernel.
func protoPart(proto string) part {
	return part{proto, string([]byte{protoNumbers[proto], 0, 0, 0})}
}

func portPart(port uint16) part {
	raw := make([]byte, 4)
	binary.BigEndian.PutUint16(raw, port)
	return part{strconv.Itoa(int(port)), string(raw)}
}

func concat(parts ...part) element {
	var text, raw []string
	for _, p := range parts {
		text, raw = append(text, p.text), append(raw, p.raw)
	}
	return element{text: strings.Join(text, " . "), key: strings.Join(raw, "")}
}

// to makes e a map's element.
func (e element) to(parts ...part) element {
	v := concat(parts...)
	return element{text: e.text + " : " + v.text, key: e.key, value: v.key}
}
