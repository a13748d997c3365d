package gossip

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
)

// filter refuses messages that no member can have sent, before memberlist sees them. It
// follows the format of memberlist v0.5 (net.go and label.go). memberlist allocates as
// many bytes as the header of a stream names and expands compressed messages, so a
// stranger could exhaust its memory. Members of ours never compress.
type filter struct {
	label     string
	encrypted bool // memberlist believes the headers only of peers that have a key
}

// memberlist's message types.
const (
	typePing     = 0
	typeAckResp  = 2
	typePushPull = 6
	typeCompound = 7
	typeUser     = 8
	typeCompress = 9
	typeEncrypt  = 10
	typeNack     = 11
	typeCRC      = 12
	typeErr      = 13
	typeLabel    = 244
)

const (
	filterPeek   = 4096 // bytes of a stream that the filter may look at
	maxNodes     = 2 * MaxMembers
	maxUserState = maxStream // a digest takes some tens of bytes a host
	maxDepth     = 2         // a compound message holds messages, but no compounds
)

// maxValues bounds the numbers in the header of a stream, by field name.
var maxValues = map[string]uint64{"Nodes": maxNodes, "UserStateLen": maxUserState, "UserMsgLen": maxStream, "Join": 1}

var errRefused = errors.New("not a message that a member sends")

func (f filter) packet(b []byte) error {
	n := 2 + len(f.label)
	if len(b) <= n || !f.hasLabel(b) {
		return errRefused
	}
	if f.encrypted {
		return nil // memberlist authenticates it
	}
	b = b[n:]
	if b[0] == typeCRC {
		if len(b) < 6 {
			return errRefused
		}
		b = b[5:]
	}
	return f.message(b, 0)
}

// stream checks the header of a connection that a peer opened. It consumes nothing.
func (f filter) stream(in *bufio.Reader) error {
	n := 2 + len(f.label)
	b, err := in.Peek(n + 1)
	if err != nil {
		return fmt.Errorf("label: %w", err)
	}
	if !f.hasLabel(b) {
		return errRefused
	}
	return f.header(in, n)
}

// reply checks the header of the answer on a connection that we opened. It consumes
// nothing. Answers have no label.
func (f filter) reply(in *bufio.Reader) error { return f.header(in, 0) }

// hasLabel expects at least two bytes more than the label has.
func (f filter) hasLabel(b []byte) bool {
	return b[0] == typeLabel && int(b[1]) == len(f.label) && string(b[2:2+len(f.label)]) == f.label
}

func (f filter) message(b []byte, depth int) error {
	if len(b) == 0 || depth >= maxDepth {
		return errRefused
	}
	switch t := b[0]; {
	case t == typeCompound:
		return f.compound(b[1:], depth)
	case t == typeCompress, t == typeEncrypt, t == typePushPull, t > typeNack:
		return errRefused
	}
	return nil
}

// compound checks the number of the parts of a message, their lengths, and each part.
func (f filter) compound(b []byte, depth int) error {
	if len(b) < 1 || len(b) < 1+2*int(b[0]) {
		return errRefused
	}
	lengths, parts := b[1:1+2*int(b[0])], b[1+2*int(b[0]):]
	for ; len(lengths) > 0; lengths = lengths[2:] {
		n := int(binary.BigEndian.Uint16(lengths))
		if n > len(parts) {
			return errRefused
		}
		if err := f.message(parts[:n], depth+1); err != nil {
			return err
		}
		parts = parts[n:]
	}
	return nil
}

func (f filter) header(in *bufio.Reader, skip int) error {
	b, err := in.Peek(skip + 1)
	if err != nil {
		return err
	}
	t := b[skip]
	if f.encrypted != (t == typeEncrypt) {
		return errRefused
	}
	switch t {
	case typeEncrypt:
		return checkLength(in, skip+1)
	case typePing, typeAckResp, typeErr:
		return nil
	case typeUser, typePushPull:
		return checkSizes(in, skip+1)
	}
	return errRefused
}

// checkLength reads the length of an encrypted message. memberlist reads all of it before
// it knows whether the peer has a key.
func checkLength(in *bufio.Reader, at int) error {
	b, err := in.Peek(at + 4)
	if err != nil {
		return err
	}
	if binary.BigEndian.Uint32(b[at:]) > MaxStreamBytes {
		return errRefused
	}
	return nil
}

// checkSizes reads a header as memberlist writes it, a MessagePack map of short
// strings to integers and booleans. It peeks at a few bytes at a time.
func checkSizes(in *bufio.Reader, at int) error {
	p := &peeker{in: in, at: at}
	n := p.byte()
	if p.err == nil && (n < 0x81 || n > 0x83) { // fixmap of 1..3
		return errRefused
	}
	for range n & 0x0f {
		limit, known := maxValues[p.text()]
		if v := p.number(); p.err == nil && (!known || v > limit) {
			return errRefused
		}
	}
	return p.err
}

// peeker decodes MessagePack from a buffer without consuming it. The first error
// stays; every value after it is zero.
type peeker struct {
	in  *bufio.Reader
	at  int
	err error
}

func (p *peeker) bytes(n int) []byte {
	if p.err == nil {
		var b []byte
		if b, p.err = p.in.Peek(p.at + n); p.err == nil {
			p.at += n
			return b[p.at-n:]
		}
	}
	return make([]byte, n)
}

func (p *peeker) byte() byte { return p.bytes(1)[0] }

func (p *peeker) refuse() {
	if p.err == nil {
		p.err = errRefused
	}
}

// text decodes a fixstr or str8.
func (p *peeker) text() string {
	switch t := p.byte(); {
	case t&0xe0 == 0xa0:
		return string(p.bytes(int(t & 0x1f)))
	case t == 0xd9:
		return string(p.bytes(int(p.byte())))
	}
	p.refuse()
	return ""
}

// number decodes an integer that is not negative, or a boolean.
func (p *peeker) number() uint64 {
	switch t := p.byte(); {
	case t <= 0x7f: // positive fixint
		return uint64(t)
	case t == 0xc2, t == 0xc3: // false, true
		return uint64(t - 0xc2)
	case t >= 0xcc && t <= 0xd3: // uint 8, 16, 32, 64; int 8, 16, 32, 64
		size := 1 << (t & 3)
		v := p.unsigned(size)
		if signed := t >= 0xd0; signed && v>>(8*size-1) != 0 {
			p.refuse()
		}
		return v
	}
	p.refuse()
	return 0
}

func (p *peeker) unsigned(size int) uint64 {
	var v uint64
	for _, b := range p.bytes(size) {
		v = v<<8 | uint64(b)
	}
	return v
}
