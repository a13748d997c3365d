package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The first byte of every message of ours.
const (
	framePacket = 1 // one packet
	frameBatch  = 2 // packets, each after its length
	frameDigest = 3 // what a member holds; see digest
)

// maxGossip is the largest packet that fits a gossip message of 1,400 bytes with
// memberlist's headers, label and encryption. What is larger would never leave
// memberlist's queue.
const maxGossip = 1200

// maxBatch is about where a batch ends and the next begins; maxStream is the
// largest message taken from a peer (a batch that ends with the largest packet).
const (
	maxBatch  = 256 << 10
	maxStream = 2 << 20
)

var errFrame = errors.New("malformed frame")

func packetFrame(packet []byte) []byte {
	return append(append(make([]byte, 0, len(packet)+1), framePacket), packet...)
}

// batches packs packets into frames of about maxBatch.
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

// unbatch is the reverse for one frame, without its first byte. The packets alias b.
func unbatch(b []byte) ([][]byte, error) {
	var packets [][]byte
	for len(b) > 0 {
		p, rest, err := cut(b)
		if err != nil {
			return packets, err
		}
		packets, b = append(packets, p), rest
	}
	return packets, nil
}

// digest is what member from holds. With answer it asks for the receiver's own
// digest in return.
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
	name, sum, err := cut(b[1:])
	if err != nil {
		return digest{}, err
	}
	return digest{from: string(name), sum: append([]byte(nil), sum...), answer: b[0] == 1}, nil
}

// cut takes one length-prefixed field off b.
func cut(b []byte) (field, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errFrame
	}
	return b[size : size+int(n)], b[size+int(n):], nil
}

// newsToPass is up to how many packets of one batch are passed on by gossip when
// they were news. More than that comes of a long separation, which every member
// repairs for itself.
const newsToPass = 64

// receive takes in a frame from a peer, or counts it as malformed.
func (g *Gossip) receive(frame []byte) {
	if err := g.take(frame); err != nil {
		g.counts.malformed.Add(1)
		g.cfg.Log.Debug("malformed message", "err", err)
	}
}

func (g *Gossip) take(frame []byte) error {
	if len(frame) == 0 {
		return errFrame
	}
	body := frame[1:]
	switch frame[0] {
	case framePacket:
		return g.merge([][]byte{body})
	case frameBatch:
		packets, err := unbatch(body)
		return errors.Join(g.merge(packets), err)
	case frameDigest:
		d, err := parseDigest(body)
		if err != nil {
			return err
		}
		g.counts.repairs.Add(1)
		g.counts.drop(!g.repairs.add(d.from, job{digest: d.sum, answer: d.answer}))
		return nil
	}
	return fmt.Errorf("%w: type %d", errFrame, frame[0])
}

func (g *Gossip) merge(packets [][]byte) error {
	var errs []error
	news := map[string][]byte{}
	for _, p := range packets {
		g.counts.received.Add(1)
		key, err := g.delegate.Merge(p)
		switch {
		case err != nil:
			errs = append(errs, err)
		case key != "":
			g.counts.news.Add(1)
			news[key] = p
		}
	}
	if len(news) > newsToPass {
		return errors.Join(errs...)
	}
	for key, p := range news {
		g.pass(key, p)
		if len(p) > maxGossip && g.roster.alive() > g.cfg.Fanout {
			g.spread(append([]byte(nil), p...), 4)
		}
	}
	return errors.Join(errs...)
}
