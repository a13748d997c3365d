package compose

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// ports maps ports and expose. A published port is opened on the hosts that run
// an instance (mode host). Compose's short form and its mode ingress mean the
// same on one machine, so they are taken for mode host too; a file that asks for
// ingress in so many words gets a warning.
func (s *serviceMapping) ports() {
	p := s.path.To("ports")
	for i, in := range s.in.Ports {
		item := s.report.item(p, i, len(s.in.Ports))
		if port, ok := s.port(in, item); ok {
			s.out.Ports = append(s.out.Ports, port)
		}
	}
	for i, in := range s.sources.list(p) {
		if first(scalars(lookup(in, "mode"))) == "ingress" {
			s.report.Warn(p.Item(i).To("mode"), "ingress is taken for host: the port is open on the hosts that run an instance, not on all")
		}
	}
	for i, text := range s.in.Expose {
		s.expose(text, s.path.To("expose").Item(i))
	}
	for _, port := range s.out.Ports {
		s.out.Expose = append(s.out.Expose, app.Expose{Number: port.Target, Proto: port.Proto, Name: port.Name})
	}
	s.out.Ports = sorted(s.out.Ports, func(a, b app.Port) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Last, b.Last), cmp.Compare(a.HostIP, b.HostIP))
	})
	s.out.Expose = oneName(sorted(s.out.Expose, func(a, b app.Expose) int {
		// A named port goes before the same port without a name.
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Proto, b.Proto), cmp.Compare(b.Name, a.Name))
	}))
}

func sorted[E comparable](list []E, compare func(a, b E) int) []E {
	slices.SortFunc(list, compare)
	return slices.Compact(list)
}

// oneName drops the nameless twin of a named port.
func oneName(list []app.Expose) []app.Expose {
	return slices.CompactFunc(list, func(a, b app.Expose) bool {
		return a.Number == b.Number && a.Proto == b.Proto && b.Name == ""
	})
}

func (s *serviceMapping) port(in types.ServicePortConfig, p app.Path) (app.Port, bool) {
	port := app.Port{HostIP: specific(in.HostIP), Target: uint16(in.Target), Proto: cmp.Or(in.Protocol, "tcp"), Name: in.Name}
	if in.Target == 0 || in.Target > 65535 {
		s.report.Problem(p, "target port %d is not between 1 and 65535", in.Target)
		return port, false
	}
	if in.Published == "" {
		return port, true
	}
	first, last, isRange := strings.Cut(in.Published, "-")
	number, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		s.report.Problem(p, "host port %s is not between 0 and 65535", in.Published)
		return port, false
	}
	port.Host = uint16(number)
	if isRange {
		end, err := strconv.ParseUint(last, 10, 16)
		if err != nil || number == 0 || end < number {
			s.report.Problem(p, "%s is no range of host ports", in.Published)
			return port, false
		}
		port.Last = uint16(end)
	}
	return port, true
}

// specific is "" for the addresses that stand for all: files that publish on
// 0.0.0.0 and on :: mean the same port.
func specific(ip string) string {
	if addr, err := netip.ParseAddr(ip); err == nil && addr.IsUnspecified() {
		return ""
	}
	return ip
}

// expose maps "80", "80/udp" and "8000-8010/tcp".
func (s *serviceMapping) expose(text string, p app.Path) {
	ports, proto, _ := strings.Cut(text, "/")
	from, to, isRange := strings.Cut(ports, "-")
	if !isRange {
		to = from
	}
	low, err := strconv.ParseUint(from, 10, 16)
	high, err2 := strconv.ParseUint(to, 10, 16)
	if err != nil || err2 != nil || low == 0 || low > high {
		s.report.Problem(p, "%q is neither a port nor a range of ports", text)
		return
	}
	for number := low; number <= high; number++ {
		s.out.Expose = append(s.out.Expose, app.Expose{Number: uint16(number), Proto: cmp.Or(proto, "tcp")})
	}
}
