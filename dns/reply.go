package dns

import (
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"tombolo/linker/record"
)

var loopback = []record.Target{{Addr4: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Addr6: netip.IPv6Loopback()}}

// reply builds the answer to one question.
type reply struct {
	zone Zone
	view *record.View
	msg  *dns.Msg
}

func newReply(z Zone, view *record.View, q *dns.Msg) *reply {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	m.Compress = true
	return &reply{zone: z, view: view, msg: m}
}

func (r *reply) fail(rcode int) *dns.Msg {
	r.msg.Rcode = rcode
	return r.msg
}

// lookup answers a name relative to the zone. soa is the owner name of the SOA in negative answers.
func (r *reply) lookup(rel, soa string) *dns.Msg {
	if rel == "" {
		return r.apex()
	}
	if a, ok := r.view.InZone(rel); ok {
		return r.addresses(a.Addresses(), soa)
	}
	if strings.HasPrefix(rel, "_") {
		return r.service(rel, r.view.InZone, soa)
	}
	if r.hasNamesBelow(rel) {
		return r.nodata(soa)
	}
	return r.nxdomain(soa)
}

// bare answers a name without the zone's suffix if it is one of the view's short names. Other
// names of the zone need the suffix, because db.shop and web.dev may also be names on the
// Internet. A name that can only be ours never leaves the host, so one that the view lacks is
// NXDOMAIN. A nil reply means that the question has to be forwarded.
func (r *reply) bare(name string) *dns.Msg {
	if a, ok := r.view.Bare(name); ok {
		return r.addresses(a.Addresses(), r.msg.Question[0].Name)
	}
	if base := trimService(name); base != name {
		if _, ok := r.view.Bare(base); ok || r.view.Ours(base) {
			return r.service(name, r.view.Bare, ".")
		}
	}
	if r.view.Ours(name) {
		return r.nxdomain(".")
	}
	return nil
}

func (r *reply) apex() *dns.Msg {
	if r.msg.Question[0].Qtype != dns.TypeSOA {
		return r.nodata(dns.Fqdn(r.zone.Name))
	}
	r.msg.Authoritative = true
	r.msg.Answer = []dns.RR{r.soa(dns.Fqdn(r.zone.Name))}
	return r.msg
}

// addresses answers with the targets' A or AAAA records, or with no data if there are none.
func (r *reply) addresses(targets []record.Target, soa string) *dns.Msg {
	asked := r.msg.Question[0]
	for _, t := range targets {
		if rr := r.address(asked.Name, asked.Qtype, t); rr != nil {
			r.msg.Answer = append(r.msg.Answer, rr)
		}
	}
	if len(r.msg.Answer) == 0 {
		return r.nodata(soa)
	}
	r.msg.Authoritative = true
	return r.msg
}

func (r *reply) address(owner string, qtype uint16, t record.Target) dns.RR {
	switch {
	case qtype == dns.TypeA && t.Addr4.IsValid():
		return &dns.A{Hdr: r.header(owner, qtype), A: t.Addr4.AsSlice()}
	case qtype == dns.TypeAAAA && t.Addr6.IsValid():
		return &dns.AAAA{Hdr: r.header(owner, qtype), AAAA: t.Addr6.AsSlice()}
	}
	return nil
}

// hasNamesBelow reports whether the view has a name below rel. Then rel exists without data:
// NXDOMAIN would deny the names below it too (RFC 8020).
func (r *reply) hasNamesBelow(rel string) bool {
	for name := range r.view.Names {
		if len(name) > len(rel) && name[len(name)-len(rel)-1] == '.' && strings.HasSuffix(name, rel) {
			return true
		}
	}
	return false
}

func (r *reply) nodata(soa string) *dns.Msg {
	r.msg.Authoritative = true
	r.msg.Ns = []dns.RR{r.soa(soa)}
	return r.msg
}

func (r *reply) nxdomain(soa string) *dns.Msg {
	r.msg.Rcode = dns.RcodeNameError
	return r.nodata(soa)
}

func (r *reply) soa(owner string) dns.RR {
	zone := dns.Fqdn(r.zone.Name)
	return &dns.SOA{
		Hdr: r.header(owner, dns.TypeSOA), Ns: zone, Mbox: "hostmaster." + zone,
		Serial: uint32(r.view.Index), Refresh: 60, Retry: 60, Expire: 60, Minttl: r.zone.seconds(),
	}
}

func (r *reply) header(owner string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: r.zone.seconds()}
}

// shuffle changes the order of records, so that clients that use the first one are spread over all.
func shuffle(rrs []dns.RR) {
	rand.Shuffle(len(rrs), func(i, j int) { rrs[i], rrs[j] = rrs[j], rrs[i] })
}
