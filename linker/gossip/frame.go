package gossip

import (
	"encoding/binary"
	"errors"
)

// The first byte of every message that this package hands to memberlist.
const (
	framePacket = 1 // one packet
	frameBatch  = 2 // packets, each preceded by its length
	frameDigest = 3 // see digest
	frameNote   = 4 // the sender's name, preceded by its length, and the note
)

// maxGossip is the size of the largest packet that fits into a gossip message of
// 1,400 bytes beside memberlist's headers, label and encryption. A larger one would
// never leave memberlist's queue.
const maxGossip = 1200

// maxNote is the size of the largest note. A sender's name adds at most 255 bytes.
const maxNote = 1000

const (
	maxBatch  = 256 << 10 // a batch ends before the packet that would make it longer than this
	maxStream = 2 << 20   // the largest message accepted from a peer; a packet larger than maxBatch has a batch of its own
)

var errFrame = errors.New("malformed frame")

func packetFrame(packet []byte) []byte {
	return append(append(make([]byte, 0, len(packet)+1), framePacket), packet...)
}

// batches packs packets into frames of about maxBatch bytes.
func batches(packets [][]byte) [][]byte {
	var frames [][]byte
	frame := []byte{frameBatch}
	for _, p := range packets {
		if len(frame) > 1 && len(frame)+len(p) > maxBatch {
			frames = append(frames, frame)
			frame = []byte{frameBatch}
		}
		frame = binary.AppendUvarint(frame, uint64(len(p)))
		frame = append(frame, p...)
	}
	if len(frame) > 1 {
		frames = append(frames, frame)
	}
	return frames
}

// unbatch returns the packets of a batch, given without its first byte. They alias b.
// With an error it returns the packets that precede the malformed one.
func unbatch(b []byte) ([][]byte, error) {
	var packets [][]byte
	for len(b) > 0 {
		p, rest, err := cutField(b)
		if err != nil {
			return packets, err
		}
		packets, b = append(packets, p), rest
	}
	return packets, nil
}

// digest describes the packets that member from holds. If answer is set, from asks
// for the receiver's own digest in return.
type digest struct {
	from   string
	sum    []byte
	answer bool
}

func digestFrame(d digest) []byte {
	b := []byte{frameDigest, 0}
	if d.answer {
		b[1] = 1
	}
	b = binary.AppendUvarint(b, uint64(len(d.from)))
	b = append(b, d.from...)
	return append(b, d.sum...)
}

func parseDigest(b []byte) (digest, error) {
	if len(b) < 2 || b[0] > 1 {
		return digest{}, errFrame
	}
	name, sum, err := cutField(b[1:])
	if err != nil {
		return digest{}, err
	}
	return digest{from: string(name), sum: append([]byte(nil), sum...), answer: b[0] == 1}, nil
}

func noteFrame(from string, body []byte) []byte {
	b := binary.AppendUvarint([]byte{frameNote}, uint64(len(from)))
	return append(append(b, from...), body...)
}

// cutField returns the field at the beginning of b, which its length precedes, and
// the bytes after it.
func cutField(b []byte) (field, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errFrame
	}
	return b[size : size+int(n)], b[size+int(n):], nil
}
