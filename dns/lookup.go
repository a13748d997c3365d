package dns

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"tombolo/linker/record"
)

// Lookup returns the targets of a name of the zone, as a person may write it: in full, relative to
// the zone, as _port._proto.name, or as an address. full is the name that was looked up. A name
// that exists may have no targets.
func (z Zone) Lookup(view *record.View, name string) (full string, targets []record.Target, exists bool) {
	full, addr := z.full(name)
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypePTR} {
		m := z.Answer(view, new(dns.Msg).SetQuestion(dns.Fqdn(full), qtype))
		if m == nil {
			return full, nil, false // an address outside of the pools
		}
		exists = exists || m.Rcode == dns.RcodeSuccess
		for _, rr := range append(m.Answer, m.Extra...) {
			switch rr := rr.(type) {
			case *dns.A:
				targets = z.addTarget(targets, view, rr.Hdr.Name, rr.A)
			case *dns.AAAA:
				targets = z.addTarget(targets, view, rr.Hdr.Name, rr.AAAA)
			case *dns.PTR:
				targets = z.addTarget(targets, view, rr.Ptr, addr.AsSlice())
			}
		}
	}
	return full, targets, exists
}

// full returns the name to ask for. If that is a reverse name, it returns the address too.
func (z Zone) full(name string) (string, netip.Addr) {
	name = record.Normal(name)
	if addr, err := netip.ParseAddr(name); err == nil {
		if reverse, err := dns.ReverseAddr(addr.Unmap().String()); err == nil {
			return strings.TrimSuffix(reverse, "."), addr.Unmap()
		}
	}
	if p, _, ok := parseReverse(name); ok {
		return name, p.Addr()
	}
	if _, ok := z.relative(name); ok {
		return name, netip.Addr{}
	}
	return name + "." + z.Name, netip.Addr{}
}

// addTarget adds an address to the target with the same instance's name, or as a new target. The
// view knows the name of the instance.
func (z Zone) addTarget(all []record.Target, view *record.View, owner string, ip []byte) []record.Target {
	addr, ok := netip.AddrFromSlice(ip)
	if !ok {
		return all
	}
	t := record.Target{Name: view.PTR[addr.Unmap()]}
	if t.Name == "" {
		t.Name, _ = z.relative(record.Normal(owner))
	}
	if addr = addr.Unmap(); addr.Is4() {
		t.Addr4 = addr
		return append(all, t)
	}
	for i := range all {
		if all[i].Name == t.Name && !all[i].Addr6.IsValid() {
			all[i].Addr6 = addr
			return all
		}
	}
	t.Addr6 = addr
	return append(all, t)
}
