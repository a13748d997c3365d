package linker

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tombolo/linker/attach"
	"tombolo/linker/hostport"
	"tombolo/linker/problem"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// ingressPort is a port that every host serves (mode: ingress).
type ingressPort struct {
	record.PublishedPort
	app, service string
}

func (p ingressPort) key() hostport.Port {
	return hostport.Port{IP: p.HostIP, Number: p.HostPort, Proto: p.Proto}
}

// owner describes the service as describe does its containers.
func (p ingressPort) owner() string {
	return "service " + p.service + " of app " + p.app + " (mode: ingress)"
}

func (p ingressPort) String() string { return fmt.Sprintf("port %d/%s", p.HostPort, p.Proto) }

// of reports whether an endpoint is an instance of the port's service.
func (p ingressPort) of(ep *record.Endpoint) bool {
	return ep != nil && ep.App == p.app && ep.Service == p.service
}

// ingressPorts returns the ingress ports of all apps that this host can serve, in the order of
// the apps' names. The error names those that another service, or a container of this host,
// has.
func ingressPorts(e *effectiveCatalog, endpoints []attach.Endpoint) ([]ingressPort, error) {
	var out []ingressPort
	var errs []error
	for _, p := range allIngressPorts(e.Snapshot) {
		if holder := portHolder(p, out, endpoints, e); holder != "" {
			errs = append(errs, problem.About(p.key().String(), fmt.Errorf("%s of this host is taken by %s: it does not lead to %s", p, holder, p.owner())))
			continue
		}
		out = append(out, p)
	}
	return out, errors.Join(errs...)
}

func allIngressPorts(s *record.Snapshot) (all []ingressPort) {
	for _, app := range slices.Sorted(maps.Keys(s.Apps)) {
		for _, service := range slices.Sorted(maps.Keys(s.Apps[app].Services)) {
			for _, port := range s.Apps[app].Services[service].Ingress {
				all = append(all, ingressPort{port, app, service})
			}
		}
	}
	return all
}

// portHolder describes who has the port already: an ingress port before it, or a container of
// this host that is no instance of the same service.
func portHolder(p ingressPort, before []ingressPort, endpoints []attach.Endpoint, e *effectiveCatalog) string {
	for _, other := range before {
		if samePort(p.PublishedPort, other.PublishedPort) {
			return other.owner()
		}
	}
	for _, ep := range endpoints {
		known := e.local(ep.ID)
		if p.of(known) || !slices.ContainsFunc(ep.Published, func(o record.PublishedPort) bool { return samePort(p.PublishedPort, o) }) {
			continue
		}
		if known == nil {
			return "endpoint " + attach.Short(ep.ID)
		}
		return describe(known)
	}
	return ""
}

// samePort reports whether one host cannot have both.
func samePort(a, b record.PublishedPort) bool {
	return a.HostPort == b.HostPort && a.Proto == b.Proto && (!a.HostIP.IsValid() || !b.HostIP.IsValid() || a.HostIP == b.HostIP)
}

// held leaves out the ports that other processes of this host hold, and names them.
func (c *converger) held(ports []ingressPort) ([]ingressPort, error) {
	owners := map[hostport.Port]string{}
	for _, p := range ports {
		owners[p.key()] = p.owner()
	}
	taken := c.sockets.Ingress(owners)
	var errs []error
	for _, p := range ports {
		if holder := taken[p.key()]; holder != "" {
			errs = append(errs, problem.About(p.key().String(), fmt.Errorf("%s of this host is taken by %s: it does not lead to %s", p, holder, p.owner())))
		}
	}
	free := slices.DeleteFunc(slices.Clone(ports), func(p ingressPort) bool { return taken[p.key()] != "" })
	return free, errors.Join(errs...)
}

// publishIngress adds the ingress ports to those that the containers of this host publish.
// Where both are the same port of one service, as while its mode changes, the ingress port
// has all instances.
func publishIngress(published []overlay.Publish, ports []ingressPort, e *effectiveCatalog) []overlay.Publish {
	for _, p := range ports {
		published = slices.DeleteFunc(published, func(o overlay.Publish) bool {
			return hostport.Port{IP: o.HostIP, Number: o.HostPort, Proto: o.Proto} == p.key()
		})
		targets := ingressTargets(p, e)
		if len(targets) == 0 { // connections are refused at once
			published = append(published, overlay.Publish{HostIP: p.HostIP, HostPort: p.HostPort, Proto: p.Proto})
		}
		for _, ep := range targets {
			published = appendPublish(published, attach.Endpoint{Addr4: ep.Addr4, Addr6: ep.Addr6}, p.PublishedPort)
		}
	}
	return published
}

// ingressTargets returns the instances that take new connections: those of this host, because
// they see the client's address, or else those of other hosts.
func ingressTargets(p ingressPort, e *effectiveCatalog) []*record.Endpoint {
	var here, elsewhere []*record.Endpoint
	for key, ep := range e.Endpoints {
		switch {
		case !p.of(ep) || !e.Answers(key):
		case ep.Host == e.self.Key():
			here = append(here, ep)
		default:
			elsewhere = append(elsewhere, ep)
		}
	}
	targets := here
	if len(here) == 0 {
		targets = elsewhere
	}
	slices.SortFunc(targets, func(a, b *record.Endpoint) int { return strings.Compare(a.Key(), b.Key()) })
	return targets
}
