package framework

import (
	"fmt"
	"maps"
	"slices"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/place"
)

// ingressPorts returns the ports that every host serves (mode: ingress), once for each host.
func (m *model) ingressPorts() (list []place.Taken) {
	for _, d := range sorted(m.apps) {
		for _, name := range slices.Sorted(maps.Keys(d.Wanted.Services)) {
			for _, port := range app.Ingress(d.Wanted.Services[name].Ports) {
				for _, h := range sorted(m.hosts) {
					holder := fmt.Sprintf("%s/%s (mode: ingress)", d.Wanted.Name, name)
					list = append(list, place.Taken{Host: h.name, Port: port, Holder: holder, App: d.Wanted.Name, Service: name})
				}
			}
		}
	}
	return list
}

// checkIngress returns an error if a port that every host would serve belongs to another app.
// Host ports of other apps' instances are no obstacle to a host port, because the two may run
// on different hosts.
func (m *model) checkIngress(wanted app.App) error {
	for _, d := range sorted(m.apps) {
		if d.Wanted.Name == wanted.Name {
			continue
		}
		for service, port := range publishedPorts(wanted) {
			for other, taken := range publishedPorts(d.Wanted) {
				if (port.OnEveryHost() || taken.OnEveryHost()) && app.PortsOverlap(port, taken) {
					return fmt.Errorf("%w: service %s: host port %d/%s is published by %s/%s, and mode ingress takes it on every host: publish another port",
						api.ErrConflict, service, port.Host, port.Proto, d.Wanted.Name, other)
				}
			}
		}
	}
	return nil
}

// publishedPorts lists the ports of all services, by the names of the services.
func publishedPorts(a app.App) func(yield func(service string, port app.Port) bool) {
	return func(yield func(string, app.Port) bool) {
		for _, name := range slices.Sorted(maps.Keys(a.Services)) {
			for _, port := range a.Services[name].Ports {
				if !yield(name, port) {
					return
				}
			}
		}
	}
}
