package gossip

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
)

// guard knows the outer shape of memberlist's messages (net.go and label.go of
// v0.5) and refuses what would make memberlist allocate by a stranger's word: it
// makes slices of the sizes that a stream's header names, whatever they are, and
// expands what is compressed. Members of ours never compress.
type guard struct {
	label     string
	encrypted bool // then strangers cannot make headers that memberlist believes
}

// memberlist's message types.
const (
	typeAckResp   = 2
	typePushPull  = 6
	typeCompound  = 7
	typeUser      = 8
	typeCompress  = 9
	typeEncrypt   = 10
	typeNack      = 11
	typeCRC       = 12
	typeErr       = 13
	typeLabel     = 244
	typePing      = 0
	guardPeek     = 4096
	maxNodes      = 100_000
	maxUserState  = maxStream // a digest: some tens of bytes a host
	maxNestedness = 2         // a compound holds messages, never compounds
)

var errRefused = errors.New("no message of a member's")

// packet checks a UDP packet.
func (g guard) packet(b []byte) error {
	n := 2 + len(g.label)
	if len(b) <= n || b[0] != typeLabel || int(b[1]) != len(g.label) || string(b[2:n]) != g.label {
		return errRefused
	}
	if g.encrypted {
		return nil // authenticated by memberlist
	}
	b = b[n:]
	if b[0] == typeCRC {
		if len(b) < 6 {
			return errRefused
		}
		b = b[5:]
	}
	return g.message(b, 0)
}

func (g guard) message(b []byte, depth int) error {
	if len(b) == 0 || depth >= maxNestedness {
		return errRefused
	}
	switch t := b[0]; {
	case t == typeCompound:
		return g.compound(b[1:], depth)
	case t == typeCompress, t == typeEncrypt, t == typePushPull, t > typeNack:
		return errRefused
	}
	return nil
}

// compound checks the parts: their number, their lengths, then they themselves.
func (g guard) compound(b []byte, depth int) error {
	if len(b) < 1 || len(b) < 1+2*int(b[0]) {
		return errRefused
	}
	lengths, parts := b[1:1+2*int(b[0])], b[1+2*int(b[0]):]
	for ; len(lengths) > 0; lengths = lengths[2:] {
		n := int(binary.BigEndian.Uint16(lengths))
		if n > len(parts) {
			return errRefused
		}
		if err := g.message(parts[:n], depth+1); err != nil {
			return err
		}
		parts = parts[n:]
	}
	return nil
}

// stream checks the head of a connection that a peer opened, without consuming it.
func (g guard) stream(in *bufio.Reader) error {
	n := 2 + len(g.label)
	b, err := in.Peek(n + 1)
	if err != nil {
		return fmt.Errorf("label: %w", err)
	}
	if b[0] != typeLabel || int(b[1]) != len(g.label) || string(b[2:n]) != g.label {
		return errRefused
	}
	return g.head(in, n)
}

// reply checks the head of an answer on a connection that we opened: it has no
// label.
func (g guard) reply(in *bufio.Reader) error { return g.head(in, 0) }

func (g guard) head(in *bufio.Reader, skip int) error {
	b, err := in.Peek(skip + 1)
	if err != nil {
		return err
	}
	t := b[skip]
	if g.encrypted != (t == typeEncrypt) {
		return errRefused
	}
	switch t {
	case typeEncrypt, typePing, typeAckResp, typeErr:
		return nil
	case typeUser, typePushPull:
		return checkSizes(in, skip+1)
	}
	return errRefused
}

// sizes bounds the numbers in the header of a stream, by their names.
var sizes = map[string]uint64{"Nodes": maxNodes, "UserStateLen": maxUserState, "UserMsgLen": maxStream, "Join": 1}

// checkSizes reads a header as memberlist writes it, a MessagePack map of short
// strings to integers and booleans, peeking a byte more at a time.
func checkSizes(in *bufio.Reader, at int) error {
	p := &peeker{in: in, at: at}
	n := p.byte()
	if p.err == nil && (n < 0x81 || n > 0x83) { // fixmap of 1..3
		return errRefused
	}
	for range n & 0x0f {
		limit, known := sizes[p.text()]
		if v := p.number(); p.err == nil && (!known || v > limit) {
			return errRefused
		}
	}
	return p.err
}

// peeker reads ahead in a buffer that keeps what was read.
type peeker struct {
	in  *bufio.Reader
	at  int
	err error
}

func (p *peeker) take(n int) []byte {
	if p.err != nil {
		return make([]byte, n)
	}
	b, err := p.in.Peek(p.at + n)
	if err != nil {
		p.err = err
		return make([]byte, n)
	}
	p.at += n
	return b[p.at-n:]
}

func (p *peeker) byte() byte { return p.take(1)[0] }

func (p *peeker) refuse() {
	if p.err == nil {
		p.err = errRefused
	}
}

// text reads a fixstr or str8.
func (p *peeker) text() string {
	switch t := p.byte(); {
	case t&0xe0 == 0xa0:
		return string(p.take(int(t & 0x1f)))
	case t == 0xd9:
		return string(p.take(int(p.byte())))
	}
	p.refuse()
	return ""
}

// number reads an integer that is not negative, or a boolean.
func (p *peeker) number() uint64 {
	switch t := p.byte(); {
	case t <= 0x7f: // positive fixint
		return uint64(t)
	case t == 0xc2, t == 0xc3: // false, true
		return uint64(t - 0xc2)
	case t >= 0xcc && t <= 0xcf: // uint 8, 16, 32, 64
		return p.unsigned(1 << (t - 0xcc))
	case t >= 0xd0 && t <= 0xd3: // int 8, 16, 32, 64: a negative one is beyond every bound
		return p.signed(1 << (t - 0xd0))
	}
	p.refuse()
	return 0
}

func (p *peeker) unsigned(size int) uint64 {
	var v uint64
	for _, b := range p.take(size) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (p *peeker) signed(size int) uint64 {
	v := p.unsigned(size)
	if v>>(8*size-1) != 0 {
		p.refuse()
	}
	return v
}
