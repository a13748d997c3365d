package linker

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"tombolo/linker/attach"
	"tombolo/linker/hostport"
	"tombolo/linker/problem"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// publication is a port of this host and the endpoints that publish it.
type publication struct {
	port      record.PublishedPort
	endpoints []attach.Endpoint // the oldest first
	holder    *record.Endpoint  // the oldest identified one, whose service has the port; nil: none is identified yet
}

// publications returns where each published port of this host leads. One service has a
// port, and it leads to the replicas that should take new connections. The error names
// endpoints of other services that publish the same port. While no endpoint of a port
// is identified, it leads to the oldest.
func publications(endpoints []attach.Endpoint, e *effectiveCatalog) ([]overlay.Publish, error) {
	var out []overlay.Publish
	var errs []error
	for _, p := range byPort(endpoints, e) {
		replicas := p.endpoints[:1]
		if p.holder != nil {
			replicas = nil
			for _, ep := range p.endpoints {
				switch known := e.local(ep.ID); {
				case known == nil:
				case known.ID == p.holder.ID || sameService(known, p.holder):
					replicas = append(replicas, ep)
				default:
					port := fmt.Sprintf("%d/%s", p.port.HostPort, p.port.Proto)
					errs = append(errs, problem.About(port, fmt.Errorf("port %s of this host is taken by %s: it does not lead to %s",
						port, describe(p.holder), describe(known))))
				}
			}
		}
		for _, ep := range targets(replicas, e) {
			out = appendPublish(out, ep, p.port)
		}
	}
	return out, errors.Join(errs...)
}

// byPort groups the endpoints by the ports that they publish.
func byPort(endpoints []attach.Endpoint, e *effectiveCatalog) []*publication {
	oldestFirst := slices.SortedFunc(slices.Values(endpoints), func(a, b attach.Endpoint) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	var out []*publication
	index := map[record.PublishedPort]*publication{}
	for _, ep := range oldestFirst {
		if !ep.Joined {
			continue
		}
		for _, port := range ep.Published {
			p := index[port]
			if p == nil {
				p = &publication{port: port}
				index[port] = p
				out = append(out, p)
			}
			p.endpoints = append(p.endpoints, ep)
			if p.holder == nil {
				p.holder = e.local(ep.ID)
			}
		}
	}
	return out
}

func sameService(a, b *record.Endpoint) bool {
	return a.App != "" && a.App == b.App && a.Service == b.Service
}

// targets returns the replicas that take new connections: those that names lead to; if
// there are none the healthy ones, else the running ones, else all.
func targets(replicas []attach.Endpoint, e *effectiveCatalog) []attach.Endpoint {
	for _, fit := range []func(id string) bool{
		func(id string) bool { return e.Answers(e.localKey(id)) },
		func(id string) bool { return e.local(id) != nil && e.local(id).Answering() },
		func(id string) bool { return e.local(id) != nil && e.local(id).Running },
	} {
		some := slices.DeleteFunc(slices.Clone(replicas), func(ep attach.Endpoint) bool { return !fit(ep.ID) })
		if len(some) > 0 {
			return some
		}
	}
	return replicas
}

// appendPublish makes a port lead to an endpoint, in each family that both have.
func appendPublish(out []overlay.Publish, ep attach.Endpoint, p record.PublishedPort) []overlay.Publish {
	to := ep.Addr4
	if p.HostIP.Is6() {
		to = ep.Addr6
	}
	if to.IsValid() {
		out = append(out, overlay.Publish{HostIP: p.HostIP, HostPort: p.HostPort, Proto: p.Proto, To: to, Port: p.Port})
	}
	if !p.HostIP.IsValid() && ep.Addr6.IsValid() {
		out = append(out, overlay.Publish{HostPort: p.HostPort, Proto: p.Proto, To: ep.Addr6, Port: p.Port})
	}
	return out
}

// leads returns where the ports lead, for the sockets that serve ::1.
func leads(all []overlay.Publish) map[hostport.Port][]netip.AddrPort {
	out := map[hostport.Port][]netip.AddrPort{}
	for _, p := range all {
		if p.To.IsValid() {
			port := hostport.Port{IP: p.HostIP, Number: p.HostPort, Proto: p.Proto}
			out[port] = append(out[port], netip.AddrPortFrom(p.To, p.Port))
		}
	}
	return out
}
