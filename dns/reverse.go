package dns

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// parseReverse reads a name of in-addr.arpa or ip6.arpa from the right, as far as its labels are
// those of an address. whole is false if other labels were left over.
func parseReverse(name string) (p netip.Prefix, whole, ok bool) {
	if rest, found := strings.CutSuffix(name, ".in-addr.arpa"); found {
		return parseLabels(rest, make([]byte, 4), 8)
	}
	if rest, found := strings.CutSuffix(name, ".ip6.arpa"); found {
		return parseLabels(rest, make([]byte, 16), 4)
	}
	return netip.Prefix{}, false, false
}

// parseLabels fills addr with the labels. Each has as many bits as unit says.
func parseLabels(rest string, addr []byte, unit int) (netip.Prefix, bool, bool) {
	labels := strings.Split(rest, ".")
	bits := 0
	for i := len(labels) - 1; i >= 0; i-- {
		v, ok := parseUnit(labels[i], unit)
		if !ok || bits == 8*len(addr) {
			break
		}
		addr[bits/8] |= v << (8 - unit - bits%8)
		bits += unit
	}
	a, _ := netip.AddrFromSlice(addr)
	return netip.PrefixFrom(a, bits), bits == unit*len(labels), bits > 0
}

func parseUnit(label string, unit int) (byte, bool) {
	base := 10
	if unit == 4 {
		base = 16
	}
	v, err := strconv.ParseUint(label, base, unit)
	return byte(v), err == nil && strconv.FormatUint(v, base) == label
}

// reverse answers a reverse name of a pool. The name of a part of the pool exists if the view has
// an address in that part.
func (r *reply) reverse(p netip.Prefix, whole bool) *dns.Msg {
	soa := r.zone.reverseApex(p)
	if !whole {
		return r.nxdomain(soa)
	}
	if !p.IsSingleIP() {
		for addr := range r.view.PTR {
			if p.Contains(addr) {
				return r.nodata(soa)
			}
		}
		return r.nxdomain(soa)
	}
	name, ok := r.view.PTR[p.Addr()]
	if !ok {
		return r.nxdomain(soa)
	}
	asked := r.msg.Question[0]
	if asked.Qtype != dns.TypePTR {
		return r.nodata(soa)
	}
	r.msg.Authoritative = true
	r.msg.Answer = []dns.RR{&dns.PTR{Hdr: r.header(asked.Name, dns.TypePTR), Ptr: name + "." + dns.Fqdn(r.zone.Name)}}
	return r.msg
}

// reverseApex returns the reverse zone of p's pool, rounded to a whole octet or nibble.
func (z Zone) reverseApex(p netip.Prefix) string {
	name, err := dns.ReverseAddr(p.Addr().String())
	if err != nil {
		return "."
	}
	unit := 4
	if p.Addr().Is4() {
		unit = 8
	}
	for _, pool := range z.Pools {
		if pool.Contains(p.Addr()) {
			keep := (pool.Bits() + unit - 1) / unit
			for drop := p.Addr().BitLen()/unit - keep; drop > 0; drop-- {
				_, name, _ = strings.Cut(name, ".")
			}
			break
		}
	}
	return name
}
