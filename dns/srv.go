package dns

import (
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"tombolo/linker/record"
)

// splitService splits _port._proto.base (RFC 2782).
func splitService(rel string) (port, proto, base string, ok bool) {
	labels := strings.SplitN(rel, ".", 3)
	if len(labels) != 3 || len(labels[0]) < 2 || labels[0][0] != '_' || len(labels[1]) < 2 || labels[1][0] != '_' {
		return "", "", "", false
	}
	return labels[0][1:], labels[1][1:], labels[2], true
}

// trimService removes the labels in front of a name that begin with '_', as those of SRV names
// do.
func trimService(name string) string {
	for strings.HasPrefix(name, "_") {
		_, rest, found := strings.Cut(name, ".")
		if !found {
			break
		}
		name = rest
	}
	return name
}

// finder finds the answers for a name, see record.View.
type finder func(name string) (record.Answers, bool)

// service answers _port._proto.name with SRV records and their targets' addresses.
func (r *reply) service(name string, find finder, soa string) *dns.Msg {
	label, proto, base, ok := splitService(name)
	answers, known := find(base)
	if !ok || !known {
		return r.missingService(name, find, soa)
	}
	port, ok := findPort(answers.Ports, label, proto)
	if !ok {
		return r.nxdomain(soa)
	}
	if r.msg.Question[0].Qtype == dns.TypeSRV {
		r.addSRV(answers.Targets, port.Number)
	}
	if len(r.msg.Answer) == 0 {
		return r.nodata(soa)
	}
	r.msg.Authoritative = true
	return r.msg
}

// missingService answers with no data for _tcp.name, which has names below it, else NXDOMAIN.
func (r *reply) missingService(name string, find finder, soa string) *dns.Msg {
	proto, base, _ := strings.Cut(name, ".")
	answers, _ := find(base)
	for _, p := range answers.Ports {
		if "_"+p.Proto == proto {
			return r.nodata(soa)
		}
	}
	return r.nxdomain(soa)
}

func (r *reply) addSRV(targets []record.Target, port uint16) {
	owner := r.msg.Question[0].Name
	for _, t := range targets {
		if t.Name == "" {
			continue // an SRV record needs a name to point at
		}
		target := t.Name + "." + dns.Fqdn(r.zone.Name)
		r.msg.Answer = append(r.msg.Answer, &dns.SRV{
			Hdr: r.header(owner, dns.TypeSRV), Priority: 0, Weight: 1, Port: port, Target: target,
		})
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if rr := r.address(target, qtype, t); rr != nil {
				r.msg.Extra = append(r.msg.Extra, rr)
			}
		}
	}
}

// findPort finds a port by its number or name.
func findPort(ports []record.Port, label, proto string) (record.Port, bool) {
	number, err := strconv.ParseUint(label, 10, 16)
	for _, p := range ports {
		named := p.Name != "" && strings.EqualFold(p.Name, label)
		if p.Proto == proto && (named || err == nil && p.Number == uint16(number)) {
			return p, true
		}
	}
	return record.Port{}, false
}
