package dns

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/miekg/dns"
)

// template is a packed answer without the parts that differ when the same question is asked again:
// ID, flags, letter case, OPT, and the order of addresses.
type template struct {
	forward bool   // the question has to be forwarded; all other fields are unset
	flags   uint16 // of the reply, without RD and CD
	answers int    // number of records in the answer section
	ns      int    // the same for the authority section
	extra   int    // the same for the additional section
	record  int    // length in bytes of every answer record; 0 if they do not all have the same
	body    []byte // everything after the question
}

// newTemplate packs m, the answer to a question in lower case; nil means that the question has to
// be forwarded. It returns nil if the message has to be built anew each time, because its answers
// differ in length and so cannot be shuffled in place.
func newTemplate(m *dns.Msg) *template {
	if m == nil {
		return &template{forward: true}
	}
	size := recordSize(m)
	if len(m.Answer) > 1 && size == 0 {
		return nil
	}
	wire, err := m.Pack()
	if err != nil || len(m.Question) != 1 {
		return nil
	}
	end, _, ok := parseName(wire, make([]byte, 0, 255))
	if !ok || len(wire) < end+4+size*len(m.Answer) {
		return nil
	}
	return &template{
		flags:   binary.BigEndian.Uint16(wire[2:]) &^ (flagRD | flagCD),
		answers: len(m.Answer), ns: len(m.Ns), extra: len(m.Extra),
		record: size, body: wire[end+4:],
	}
}

// recordSize returns the packed length of each answer if all are addresses of the name that was
// asked for, so that a pointer to the question is their owner name. Else it returns 0.
func recordSize(m *dns.Msg) int {
	const pointerAndFixed = 2 + 2 + 2 + 4 + 2
	length := 0
	for _, rr := range m.Answer {
		h := rr.Header()
		switch {
		case h.Name != m.Question[0].Name:
			return 0
		case h.Rrtype == dns.TypeA:
			length = pointerAndFixed + 4
		case h.Rrtype == dns.TypeAAAA:
			length = pointerAndFixed + 16
		default:
			return 0
		}
	}
	return length
}

// render writes the reply to the query pkt, which was parsed as q, into out. out must have maxUDP
// bytes. It returns nil if the answer is too long and cannot be truncated here.
func (t *template) render(pkt []byte, q *question, out []byte) []byte {
	room := min(q.size, len(out)) - q.end
	if q.edns {
		room -= optLen
	}
	answers, flags, body := t.answers, t.flags, t.body
	if len(body) > room {
		if t.record == 0 || t.ns+t.extra > 0 || room < t.record {
			return nil
		}
		answers, flags = room/t.record, flags|flagTruncated
	}
	binary.BigEndian.PutUint16(out, q.id)
	binary.BigEndian.PutUint16(out[2:], flags|q.flags&(flagRD|flagCD))
	binary.BigEndian.PutUint16(out[4:], 1)
	binary.BigEndian.PutUint16(out[6:], uint16(answers))
	binary.BigEndian.PutUint16(out[8:], uint16(t.ns))
	copy(out[headerLen:], pkt[headerLen:q.end])
	n := q.end
	if t.answers > 1 {
		n += t.shuffle(out[n:], answers)
	} else {
		n += copy(out[n:], body)
	}
	extra := t.extra
	if q.edns {
		extra++
		n += putOPT(out[n:], q.do)
	}
	binary.BigEndian.PutUint16(out[10:], uint16(extra))
	return out[:n]
}

// shuffle writes n random answers in random order. If these are all answers, it also writes the
// records after them.
func (t *template) shuffle(out []byte, n int) int {
	size := t.record
	rest := t.body[size*t.answers:]
	if n == t.answers {
		copy(out, t.body[:size*n])
		var tmp [28]byte
		for i := n - 1; i > 0; i-- {
			j := rand.IntN(i + 1)
			copy(tmp[:size], out[i*size:])
			copy(out[i*size:], out[j*size:(j+1)*size])
			copy(out[j*size:], tmp[:size])
		}
		return size*n + copy(out[size*n:], rest)
	}
	for at, i := range rand.Perm(t.answers)[:n] {
		copy(out[at*size:], t.body[i*size:(i+1)*size])
	}
	return size * n
}

func putOPT(out []byte, do bool) int {
	clear(out[:optLen])
	binary.BigEndian.PutUint16(out[1:], typeOPT)
	binary.BigEndian.PutUint16(out[3:], maxUDP)
	if do {
		out[7] = doBit >> 8
	}
	return optLen
}
