package place

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"tombolo/framework/app"
)

// room is the room that is left on the hosts while requests are assigned.
type room struct {
	hosts []*hostRoom       // by name
	pins  map[string]string // as in Cluster
	ids   map[[2]string]int // {app, service} -> index into hostRoom.count; {app, ""} is for the app
}

// hostRoom is the room on one host.
type hostRoom struct {
	Host
	milliCPUs int64
	memory    int64
	count     []int // instances of a service or an app, by room.ids
	taken     []Taken
	given     map[uint16]bool // ports of the offer that earlier requests got
}

func newRoom(c Cluster, requests []Request) *room {
	r := &room{pins: map[string]string{}, ids: map[[2]string]int{}}
	maps.Copy(r.pins, c.Pins)
	for i := range requests {
		r.id(requests[i].App, requests[i].Service)
		r.id(requests[i].App, "")
	}
	byName := map[string]*hostRoom{}
	for _, h := range c.Hosts {
		host := &hostRoom{Host: h, milliCPUs: milli(h.CPUs), memory: h.MemBytes, count: make([]int, len(r.ids)), given: map[uint16]bool{}}
		byName[h.Name] = host
		r.hosts = append(r.hosts, host)
	}
	slices.SortFunc(r.hosts, func(a, b *hostRoom) int { return cmp.Compare(a.Name, b.Name) })
	for _, in := range c.Instances {
		if host := byName[in.Host]; host != nil {
			r.add(host, in.App, in.Service)
		}
	}
	for _, t := range c.Taken {
		if host := byName[t.Host]; host != nil {
			host.taken = append(host.taken, t)
		}
	}
	return r
}

// id returns the index of a service, or of an app if service is "".
func (r *room) id(app, service string) int {
	key := [2]string{app, service}
	id, ok := r.ids[key]
	if !ok {
		id = len(r.ids)
		r.ids[key] = id
	}
	return id
}

// add counts an instance, if a request is for its service or its app.
func (r *room) add(host *hostRoom, app, service string) {
	for _, name := range []string{service, ""} {
		if id, ok := r.ids[[2]string{app, name}]; ok {
			host.count[id]++
		}
	}
}

// best returns the best host that can have the request, or nil.
func (r *room) best(request *Request) *hostRoom {
	service, app := r.id(request.App, request.Service), r.id(request.App, "")
	var best *hostRoom
	for _, host := range r.hosts {
		better := best == nil || best.Name == request.Avoid || host.Name != request.Avoid && host.better(best, service, app)
		if better && r.refuse(host, request) == nil {
			best = host
		}
	}
	return best
}

func (h *hostRoom) better(other *hostRoom, service, app int) bool {
	switch {
	case h.count[service] != other.count[service]:
		return h.count[service] < other.count[service]
	case h.count[app] != other.count[app]:
		return h.count[app] < other.count[app]
	case h.milliCPUs != other.milliCPUs:
		return h.milliCPUs > other.milliCPUs
	}
	return h.memory > other.memory
}

// explain returns the refusals of all hosts. It notes the hosts on which the request nearly
// fits.
func (r *room) explain(request *Request, near map[string]bool) []Refusal {
	refusals := make([]Refusal, 0, len(r.hosts))
	for _, host := range r.hosts {
		if refusal := r.refuse(host, request); refusal != nil {
			why := refusal()
			refusals = append(refusals, why)
			if why.Kind == Port || why.Kind == Resources && host.nearlyHas(request) {
				near[host.Name] = true
			}
		}
	}
	return refusals
}

// nearlyHas reports whether the host has at least half of what the request needs. The rest
// may be offered at any moment, because Mesos offers what becomes free of a host apart.
func (h *hostRoom) nearlyHas(request *Request) bool {
	return 2*h.milliCPUs >= milli(request.CPUs) && 2*h.memory >= request.MemBytes
}

// refuse returns nil if the host can have the request, else a function that makes the
// refusal: most refusals are never shown, and making their texts takes time.
func (r *room) refuse(host *hostRoom, request *Request) func() Refusal {
	no := func(kind Kind, format string, args ...any) func() Refusal {
		return func() Refusal { return Refusal{host.Name, kind, fmt.Sprintf(format, args...)} }
	}
	if request.Host != "" && request.Host != host.Name {
		return no(WrongHost, "this instance is for %s", request.Host)
	}
	for _, volume := range request.Volumes {
		if pin := r.pins[volume]; pin != "" && pin != host.Name {
			return no(Volume, "volume %s is on %s", volume, pin)
		}
	}
	if c, bad := violated(&host.Host, request.Constraints); bad {
		return no(Constraint, "constraint %s %s %s", c.Attribute, c.Op, c.Value)
	}
	if host.Problem != "" {
		return no(Problem, "%s", host.Problem)
	}
	for _, port := range request.Ports {
		if holder, taken := host.holder(port, request); taken {
			return no(Port, "host port %d/%s taken by %s", port.Host, port.Proto, holder)
		}
	}
	cpus := milli(request.CPUs)
	switch neverOffered := !host.Offered && host.milliCPUs == 0 && host.memory == 0; {
	case neverOffered:
		return no(NoOffer, "no offer from %s yet", host.Name)
	case cpus > host.milliCPUs:
		return no(Resources, "cpus %s of %s left", decimal(cpus), decimal(host.milliCPUs))
	case request.MemBytes > host.memory:
		return no(Resources, "memory %d MiB of %d MiB left", request.MemBytes>>20, host.memory>>20)
	case !host.Offered:
		return no(NoOffer, "no offer from %s now", host.Name)
	}
	return nil
}

// holder returns the holder of a port that the request wants and cannot share.
func (h *hostRoom) holder(port app.Port, request *Request) (holder string, taken bool) {
	for _, t := range h.taken {
		if app.PortsOverlap(t.Port, port) && !t.shares(port, request) {
			return t.Holder, true
		}
	}
	return "", false
}

// shares reports whether the request is a replica of the holder, and wants the same port
// on the same address. The host's linker spreads the connections over both.
func (t Taken) shares(port app.Port, r *Request) bool {
	return !r.ExclusivePorts && t.App != "" && t.App == r.App && t.Service == r.Service && t.Port.Target == port.Target &&
		(t.Port.HostIP == port.HostIP || anyAddress(t.Port.HostIP) && anyAddress(port.HostIP))
}

// fixed reports whether the file names the host port, so that no other will do.
func fixed(p app.Port) bool { return p.Host != 0 && p.Last == 0 }

func anyAddress(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }

// take gives the room to the request. It returns those of the request's ports that are
// in the host's offer.
func (r *room) take(host *hostRoom, request *Request) (offered []uint16) {
	host.milliCPUs -= milli(request.CPUs)
	host.memory -= request.MemBytes
	r.add(host, request.App, request.Service)
	for _, volume := range request.Volumes {
		r.pins[volume] = host.Name
	}
	holder := fmt.Sprintf("%s/%s.%d", request.App, request.Service, request.Slot)
	for _, port := range request.Ports {
		host.taken = append(host.taken, Taken{host.Name, port, holder, request.App, request.Service})
		// Replicas share a port, but an offer has it only once.
		if fixed(port) && host.offers(port.Host) && !host.given[port.Host] {
			offered = append(offered, port.Host)
			host.given[port.Host] = true
		}
	}
	return offered
}

func (h *hostRoom) offers(port uint16) bool {
	return slices.ContainsFunc(h.Ports, func(span PortRange) bool {
		return span.First <= port && port <= span.Last
	})
}

func decimal(milli int64) string { return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64) }
