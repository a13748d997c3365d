package probe

import (
	"encoding/binary"
	"errors"
)

// roundID names a round. It is random, so that nobody can answer a round without having seen
// it.
type roundID [8]byte

// maxShots bounds the shots of a round, because an answer has one bit for each.
const maxShots = 16

// ipHeaders is the size of the IPv4 and UDP headers in front of a shot, in bytes.
const ipHeaders = 20 + 8

// shot is a datagram of a round. Its wire form is
//
//	magic (4 bytes), round (8), number (1), zeros up to the size
type shot struct {
	round  roundID
	number int // from 0
	size   int // of the IP packet, in bytes
}

var shotMagic = [4]byte{'t', 'b', 'p', '1'}

const shotHeader = len(shotMagic) + len(roundID{}) + 1

func (s shot) encode() []byte {
	b := make([]byte, max(s.size-ipHeaders, shotHeader))
	copy(b, shotMagic[:])
	copy(b[4:], s.round[:])
	b[12] = byte(s.number)
	return b
}

var errMalformed = errors.New("malformed message of a prober")

// parseShot parses the content of a datagram.
func parseShot(b []byte) (shot, error) {
	if len(b) < shotHeader || [4]byte(b) != shotMagic || b[12] >= maxShots {
		return shot{}, errMalformed
	}
	return shot{round: roundID(b[4:12]), number: int(b[12]), size: len(b) + ipHeaders}, nil
}

// The types of notes, which travel by gossip.
const (
	noteQuery  = 1 // round, number of shots, their sizes
	noteAnswer = 2 // round, known, bits of the shots that have arrived, the clock in milliseconds since 1970
)

// note is a query or an answer.
type note struct {
	round roundID

	sizes []int // of a query: of the shots; nil: this is an answer

	known   bool   // of an answer: the peer can tell
	arrived uint16 // of an answer: bit n is set if shot n has arrived
	clock   int64  // of an answer: that of the peer when it answered, as time.Time.UnixMilli
}

func (n note) encode() []byte {
	if n.sizes == nil {
		b := append([]byte{noteAnswer}, n.round[:]...)
		b = append(b, 0)
		if n.known {
			b[len(b)-1] = 1
		}
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(b, n.arrived), uint64(n.clock))
	}
	b := append([]byte{noteQuery}, n.round[:]...)
	b = append(b, byte(len(n.sizes)))
	for _, size := range n.sizes {
		b = binary.BigEndian.AppendUint16(b, uint16(size))
	}
	return b
}

func parseNote(b []byte) (note, error) {
	const header = 1 + len(roundID{}) + 1
	if len(b) < header {
		return note{}, errMalformed
	}
	n, rest := note{round: roundID(b[1:9])}, b[header:]
	switch count := int(b[9]); {
	case b[0] == noteAnswer && len(rest) == 10 && count <= 1:
		n.known, n.arrived, n.clock = count == 1, binary.BigEndian.Uint16(rest), int64(binary.BigEndian.Uint64(rest[2:]))
		return n, nil
	case b[0] == noteQuery && count > 0 && count <= maxShots && len(rest) == 2*count:
		for ; len(rest) > 0; rest = rest[2:] {
			n.sizes = append(n.sizes, int(binary.BigEndian.Uint16(rest)))
		}
		return n, nil
	}
	return note{}, errMalformed
}
