package dns

import (
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"tombolo/linker/record"
)

// DefaultTTL is how long a client may keep an answer, positive or negative.
const DefaultTTL = time.Second

// Zone is the part of the name space that is answered here and never forwarded.
type Zone struct {
	Name  string         // lower case, without a trailing dot: "tombolo.internal"
	Pools []netip.Prefix // their reverse names are ours
	TTL   time.Duration  // of every answer, in whole seconds; zero means DefaultTTL
}

// Answer computes the reply to q as the holder of view sees the world, with the
// addresses in the view's order. It returns nil for a question that is not ours to
// answer and has to be forwarded. Answer is pure; it changes neither argument.
func (z Zone) Answer(view *record.View, q *dns.Msg) *dns.Msg {
	r := newReply(z, view, q)
	if rcode := unsupported(q); rcode != dns.RcodeSuccess {
		return r.fail(rcode)
	}
	name := strings.ToLower(strings.TrimSuffix(q.Question[0].Name, "."))
	if name == "" {
		return nil
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return r.addresses(loopback, q.Question[0].Name) // RFC 6761 section 6.3
	}
	if p, whole, ok := parseReverse(name); ok && z.owns(p) {
		return r.reverse(p, whole)
	}
	if rel, ok := z.relative(name); ok {
		return r.lookup(rel, dns.Fqdn(z.Name))
	}
	return r.bare(name)
}

// unsupported says why a query is answered with an error whoever asks whatever.
func unsupported(q *dns.Msg) int {
	if q.Opcode != dns.OpcodeQuery {
		return dns.RcodeNotImplemented
	}
	if len(q.Question) != 1 {
		return dns.RcodeFormatError
	}
	if opt := q.IsEdns0(); opt != nil && opt.Version() != 0 {
		return dns.RcodeBadVers
	}
	switch t := q.Question[0].Qtype; {
	case q.Question[0].Qclass != dns.ClassINET, t == dns.TypeAXFR, t == dns.TypeIXFR:
		return dns.RcodeRefused
	case t == dns.TypeOPT, t >= 128 && t <= 255: // meta types, RFC 6895 section 3.1
		return dns.RcodeNotImplemented
	}
	return dns.RcodeSuccess
}

// relative cuts the zone's name off; the apex is "".
func (z Zone) relative(name string) (string, bool) {
	if name == z.Name {
		return "", true
	}
	if rest, ok := strings.CutSuffix(name, z.Name); ok && strings.HasSuffix(rest, ".") {
		return rest[:len(rest)-1], true
	}
	return "", false
}

func (z Zone) owns(p netip.Prefix) bool {
	for _, pool := range z.Pools {
		if pool.Bits() <= p.Bits() && pool.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

func (z Zone) seconds() uint32 {
	if z.TTL == 0 {
		return uint32(DefaultTTL / time.Second)
	}
	return uint32(z.TTL / time.Second)
}
