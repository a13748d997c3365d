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

// ports maps ports and expose. A published port is open on the hosts that run an instance,
// which is `mode: host`, unless the file asks for `mode: ingress` in words.
func (s *serviceMapping) ports() {
	p := s.path.To("ports")
	for i, in := range s.in.Ports {
		if port, ok := s.port(in, s.item(p, i, len(s.in.Ports))); ok {
			if mode := s.portMode(in); mode != "host" {
				port.Mode = mode
			}
			s.out.Ports = append(s.out.Ports, port)
			s.out.Expose = append(s.out.Expose, app.Expose{Number: port.Target, Proto: port.Proto, Name: port.Name})
		}
	}
	for i, text := range s.in.Expose {
		s.expose(text, s.path.To("expose").Item(i))
	}
	slices.SortFunc(s.out.Ports, func(a, b app.Port) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Last, b.Last), cmp.Compare(a.HostIP, b.HostIP))
	})
	s.out.Ports = slices.Compact(s.out.Ports)
	slices.SortFunc(s.out.Expose, func(a, b app.Expose) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Proto, b.Proto), cmp.Compare(b.Name, a.Name))
	})
	s.out.Expose = slices.Compact(s.out.Expose)
}

func (s *serviceMapping) port(in types.ServicePortConfig, p app.Path) (app.Port, bool) {
	port := app.Port{HostIP: in.HostIP, Target: uint16(in.Target), Proto: cmp.Or(in.Protocol, "tcp"), Name: in.Name}
	if addr, err := netip.ParseAddr(in.HostIP); err == nil && addr.IsUnspecified() {
		port.HostIP = "" // 0.0.0.0 and :: mean all addresses
	}
	if in.Target == 0 || in.Target > 65535 {
		s.Problem(p, "target port %d is not between 1 and 65535", in.Target)
		return port, false
	}
	if in.Published == "" {
		return port, true
	}
	first, last, isRange := strings.Cut(in.Published, "-")
	number, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		s.Problem(p, "host port %s is not between 0 and 65535", in.Published)
		return port, false
	}
	port.Host = uint16(number)
	if isRange {
		end, err := strconv.ParseUint(last, 10, 16)
		if err != nil || number == 0 || end < number {
			s.Problem(p, "%s is not a range of host ports", in.Published)
			return port, false
		}
		port.Last = uint16(end)
	}
	return port, true
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
		s.Problem(p, "%q is neither a port nor a range of ports", text)
		return
	}
	for number := low; number <= high; number++ {
		s.out.Expose = append(s.out.Expose, app.Expose{Number: uint16(number), Proto: cmp.Or(proto, "tcp")})
	}
}
