package dns

import "encoding/binary"

const (
	headerLen  = 12
	optLen     = 11 // an OPT record without options
	classicUDP = 512
	maxUDP     = 1232 // bytes; such a packet is never fragmented (DNS flag day 2020)

	flagResponse  = 1 << 15
	flagTruncated = 1 << 9
	flagRD        = 1 << 8
	flagCD        = 1 << 4
	opcodeMask    = 0xf << 11

	typeOPT = 41
	classIN = 1
	doBit   = 1 << 15
)

// question has the parts of a query that the hot path needs. parse reads them without unpacking.
type question struct {
	id    uint16
	flags uint16
	end   int    // offset of the end of the question section
	size  int    // of the largest UDP reply that the asker accepts
	edns  bool   // the reply needs an OPT record
	do    bool   // the asker wants DNSSEC records
	key   []byte // name in wire format and lower case, and type
}

// parse reads a query of the common form: opcode QUERY, class IN, one question, and at most an OPT
// record of version 0 after it. It returns false for any other packet, correct or not, which is
// left to the general path. The key uses buf.
func parse(pkt, buf []byte) (question, bool) {
	if len(pkt) < headerLen {
		return question{}, false
	}
	q := question{id: binary.BigEndian.Uint16(pkt), flags: binary.BigEndian.Uint16(pkt[2:]), size: classicUDP}
	if q.flags&(flagResponse|opcodeMask|flagTruncated) != 0 || binary.BigEndian.Uint16(pkt[4:]) != 1 ||
		binary.BigEndian.Uint32(pkt[6:]) != 0 {
		return question{}, false
	}
	end, key, ok := parseName(pkt, buf[:0])
	if !ok || len(pkt) < end+4 || binary.BigEndian.Uint16(pkt[end+2:]) != classIN {
		return question{}, false
	}
	key = append(key, pkt[end], pkt[end+1])
	q.key, q.end = key, end+4
	switch binary.BigEndian.Uint16(pkt[10:]) {
	case 0:
		return q, len(pkt) == q.end
	case 1:
		return q, q.parseOPT(pkt[q.end:])
	}
	return question{}, false
}

// parseName appends the uncompressed name at the start of the question section to key, in lower
// case. It returns the offset of the name's end.
func parseName(pkt, key []byte) (int, []byte, bool) {
	for at := headerLen; at < len(pkt); {
		n := int(pkt[at])
		if n > 63 || at+1+n > len(pkt) || len(key)+1+n > 255 {
			return 0, nil, false
		}
		key = append(key, pkt[at])
		for _, c := range pkt[at+1 : at+1+n] {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			key = append(key, c)
		}
		at += 1 + n
		if n == 0 {
			return at, key, true
		}
	}
	return 0, nil, false
}

// parseOPT reads an OPT record that fills b (RFC 6891 section 6.1.2).
func (q *question) parseOPT(b []byte) bool {
	if len(b) < optLen || b[0] != 0 || binary.BigEndian.Uint16(b[1:]) != typeOPT ||
		b[5] != 0 || b[6] != 0 || len(b) != optLen+int(binary.BigEndian.Uint16(b[9:])) {
		return false
	}
	q.edns = true
	q.do = binary.BigEndian.Uint16(b[7:])&doBit != 0
	q.size = replySize(binary.BigEndian.Uint16(b[3:]))
	return true
}

// replySize returns the size of the largest UDP reply to an asker that advertises a size.
func replySize(advertised uint16) int {
	return min(max(int(advertised), classicUDP), maxUDP)
}
