package place

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"tombolo/framework/app"
)

// room is what is left on the hosts while requests are assigned.
type room struct {
	hosts []*space
	pins  map[string]string
	ids   map[[2]string]int // app, service -> index into space.count; ("app", "") is the app's
}

// space is one host's room.
type space struct {
	Host
	cpus   int64 // thousandths
	memory int64
	count  []int // instances, by room.ids
	taken  []Taken
	given  map[uint16]bool // of the offered ports, to earlier requests
}

func newRoom(s Cluster, requests []Request) *room {
	r := &room{pins: map[string]string{}, ids: map[[2]string]int{}}
	for i := range requests {
		r.id(requests[i].App, requests[i].Service)
		r.id(requests[i].App, "")
	}
	byName := map[string]*space{}
	for _, h := range s.Hosts {
		sp := &space{Host: h, cpus: milli(h.CPUs), memory: h.MemBytes, count: make([]int, len(r.ids)), given: map[uint16]bool{}}
		byName[h.Name] = sp
		r.hosts = append(r.hosts, sp)
	}
	slices.SortFunc(r.hosts, func(a, b *space) int { return cmp.Compare(a.Name, b.Name) })
	for _, in := range s.Instances {
		if sp := byName[in.Host]; sp != nil {
			r.add(sp, in.App, in.Service)
		}
	}
	for _, t := range s.Taken {
		if sp := byName[t.Host]; sp != nil {
			sp.taken = append(sp.taken, t)
		}
	}
	for volume, host := range s.Pins {
		r.pins[volume] = host
	}
	return r
}

// id numbers a service, or with service "" an app.
func (r *room) id(app, service string) int {
	key := [2]string{app, service}
	id, ok := r.ids[key]
	if !ok {
		id = len(r.ids)
		r.ids[key] = id
	}
	return id
}

// add counts an instance, where anybody asks for its like.
func (r *room) add(s *space, app, service string) {
	for _, name := range []string{service, ""} {
		if id, ok := r.ids[[2]string{app, name}]; ok {
			s.count[id]++
		}
	}
}

// best returns the host to use, or nil.
func (r *room) best(request *Request) *space {
	var best *space
	service, app := r.id(request.App, request.Service), r.id(request.App, "")
	for _, sp := range r.hosts {
		if sp.Name == request.Avoid {
			continue
		}
		if (best == nil || sp.before(best, service, app)) && r.refuse(sp, request) == nil {
			best = sp
		}
	}
	if best == nil && request.Avoid != "" {
		return r.only(request.Avoid, request)
	}
	return best
}

// only returns the host of that name, if it can take the request.
func (r *room) only(name string, request *Request) *space {
	for _, sp := range r.hosts {
		if sp.Name == name && r.refuse(sp, request) == nil {
			return sp
		}
	}
	return nil
}

func (s *space) before(o *space, service, app int) bool {
	switch {
	case s.count[service] != o.count[service]:
		return s.count[service] < o.count[service]
	case s.count[app] != o.count[app]:
		return s.count[app] < o.count[app]
	case s.cpus != o.cpus:
		return s.cpus > o.cpus
	}
	return s.memory > o.memory
}

func (r *room) explain(request *Request) []Refusal {
	refusals := make([]Refusal, 0, len(r.hosts))
	for _, sp := range r.hosts {
		if no := r.refuse(sp, request); no != nil {
			refusals = append(refusals, no())
		}
	}
	return refusals
}

// refuse returns nil when the host can take the request, else what says why not:
// the words are made for those who ask only.
func (r *room) refuse(s *space, request *Request) func() Refusal {
	no := func(kind Kind, format string, args ...any) func() Refusal {
		return func() Refusal { return Refusal{s.Name, kind, fmt.Sprintf(format, args...)} }
	}
	if request.Host != "" && request.Host != s.Name {
		return no(WrongHost, "this instance is for %s", request.Host)
	}
	for _, volume := range request.Volumes {
		if host := r.pins[volume]; host != "" && host != s.Name {
			return no(Volume, "volume %s is on %s", volume, host)
		}
	}
	if c, bad := violated(&s.Host, request.Constraints); bad {
		return no(Constraint, "constraint %s %s %s", c.Attribute, c.Op, c.Value)
	}
	if s.Problem != "" {
		return no(Problem, "%s", s.Problem)
	}
	for _, port := range request.Ports {
		if by, taken := s.holder(port, request); taken {
			return no(Port, "host port %d/%s taken by %s", port.Host, port.Proto, by)
		}
	}
	switch unknown := !s.Offered && s.cpus == 0 && s.memory == 0; {
	case unknown:
		return no(NoOffer, "no offer from %s yet", s.Name)
	case milli(request.CPUs) > s.cpus:
		return no(Resources, "cpus %s of %s left", thousandths(milli(request.CPUs)), thousandths(s.cpus))
	case request.MemBytes > s.memory:
		return no(Resources, "memory %s of %s left", mebibytes(request.MemBytes), mebibytes(s.memory))
	case !s.Offered:
		return no(NoOffer, "no offer from %s now", s.Name)
	}
	return nil
}

// holder says who holds a port and does not share it with sharer.
func (s *space) holder(port app.Port, sharer *Request) (string, bool) {
	for _, t := range s.taken {
		if Overlap(t.Port, port) && !t.shares(port, sharer) {
			return t.Holder, true
		}
	}
	return "", false
}

// shares reports whether r is a replica of the holder that asks for the very same:
// the host's linker divides the connections among the two.
func (t Taken) shares(port app.Port, r *Request) bool {
	return !r.ExclusivePorts && t.App != "" && t.App == r.App && t.Service == r.Service && t.Port.Target == port.Target &&
		(t.Port.HostIP == port.HostIP || everywhere(t.Port.HostIP) && everywhere(port.HostIP))
}

// Overlap reports whether two published ports cannot both be on one host.
func Overlap(a, b app.Port) bool {
	return a.Host == b.Host && fixed(a) && fixed(b) && a.Proto == b.Proto &&
		(everywhere(a.HostIP) || everywhere(b.HostIP) || a.HostIP == b.HostIP)
}

// fixed reports whether one host port alone will do.
func fixed(p app.Port) bool { return p.Host != 0 && p.Last == 0 }

func everywhere(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }

// take books the request on the host and returns which of its ports the host
// offered.
func (r *room) take(s *space, request *Request) (offered []uint16) {
	s.cpus -= milli(request.CPUs)
	s.memory -= request.MemBytes
	r.add(s, request.App, request.Service)
	for _, volume := range request.Volumes {
		r.pins[volume] = s.Name
	}
	by := fmt.Sprintf("%s/%s.%d", request.App, request.Service, request.Slot)
	for _, port := range request.Ports {
		s.taken = append(s.taken, Taken{s.Name, port, by, request.App, request.Service})
		// A port that is shared can be taken from an offer once only.
		if fixed(port) && s.offers(port.Host) && !s.given[port.Host] {
			offered = append(offered, port.Host)
			s.given[port.Host] = true
		}
	}
	return offered
}

func (s *space) offers(port uint16) bool {
	return slices.ContainsFunc(s.Ports, func(span PortRange) bool {
		return span.First <= port && port <= span.Last
	})
}

func thousandths(n int64) string { return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64) }

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
