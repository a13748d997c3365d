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

// Zone is the part of the name space whose questions are never forwarded.
type Zone struct {
	Name  string         // lower case, without a trailing dot: "tombolo.internal"
	Pools []netip.Prefix // prefixes whose reverse names belong to the zone
	TTL   time.Duration  // of every answer, in whole seconds; zero means DefaultTTL
}

// Answer returns the reply to q for a container with the given view, with the addresses in the
// view's order. It returns nil for a question that has to be forwarded. Answer is pure and
// changes neither argument.
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

// unsupported returns the error code for a query that no asker gets an answer to, else success.
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

// relative removes the zone's suffix. The apex becomes "". It returns false for other names.
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
