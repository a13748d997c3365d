package linker

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tombolo/linker/attach"
	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// share is who publishes one and the same port of this host.
type share struct {
	port    record.PublishedPort
	all     []attach.Endpoint // the oldest first
	service *record.Endpoint  // a replica of the service that has the port; nil: not known yet
}

// publications are the ports of this host and where they lead. Endpoints that share
// one count only as replicas of the service that took it first; the error names the
// others. Of the replicas those that answer have it, while there are any.
func publications(eps []attach.Endpoint, s *record.Snapshot, relation *reach.Relation) ([]overlay.Publish, error) {
	var out []overlay.Publish
	var errs []error
	for _, sh := range shares(eps, s) {
		var replicas []attach.Endpoint
		for _, ep := range sh.all {
			known := s.Endpoints[ep.ID]
			switch {
			case sh.service == nil && ep.ID == sh.all[0].ID, sh.service != nil && replica(known, sh.service):
				replicas = append(replicas, ep)
			case sh.service != nil && known != nil:
				errs = append(errs, fmt.Errorf("port %d/%s of this host is taken by %s: it does not lead to %s",
					sh.port.HostPort, sh.port.Proto, title(sh.service), title(known)))
			}
		}
		for _, ep := range targets(replicas, s, relation) {
			out = appendPublish(out, ep, sh.port)
		}
	}
	return out, errors.Join(errs...)
}

// shares groups the endpoints by the ports that they publish.
func shares(eps []attach.Endpoint, s *record.Snapshot) []*share {
	eps = slices.Clone(eps)
	slices.SortFunc(eps, func(a, b attach.Endpoint) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	var out []*share
	index := map[record.PublishedPort]*share{}
	for _, ep := range eps {
		if !ep.Joined {
			continue
		}
		for _, p := range ep.Published {
			sh := index[p]
			if sh == nil {
				sh = &share{port: p}
				index[p] = sh
				out = append(out, sh)
			}
			sh.all = append(sh.all, ep)
			if sh.service == nil {
				sh.service = s.Endpoints[ep.ID]
			}
		}
	}
	return out
}

// replica reports whether a is the same endpoint as b, or of the same service.
func replica(a, b *record.Endpoint) bool {
	return a != nil && (a.ID == b.ID || a.App != "" && a.App == b.App && a.Service == b.Service)
}

// targets are the endpoints that take new connections: those that answer to names,
// else the healthy, else the running, else all.
func targets(eps []attach.Endpoint, s *record.Snapshot, relation *reach.Relation) []attach.Endpoint {
	for _, fit := range []func(id string) bool{
		relation.Answers,
		func(id string) bool { return s.Endpoints[id] != nil && s.Endpoints[id].Answering() },
		func(id string) bool { return s.Endpoints[id] != nil && s.Endpoints[id].Running },
	} {
		var some []attach.Endpoint
		for _, ep := range eps {
			if fit(ep.ID) {
				some = append(some, ep)
			}
		}
		if len(some) > 0 {
			return some
		}
	}
	return eps
}

// appendPublish leads a port to an endpoint, in each family that both have.
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
