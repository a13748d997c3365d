package framework

import (
	"fmt"
	"slices"

	"tombolo/framework/app"
	"tombolo/framework/place"
	"tombolo/linker/record"
)

// taken are the host ports of a task: those that its service names, and those that
// its linker has chosen.
func (t *task) taken() (list []place.Taken) {
	by := fmt.Sprintf("%s/%s.%d", t.App, t.Service, t.Slot)
	ports := t.Ports
	if t.endpoint != nil {
		ports = slices.Concat(ports, hostPorts(t.endpoint.Published))
	}
	for _, port := range ports {
		list = append(list, place.Taken{Host: t.Host, Port: port, Holder: by, App: t.App, Service: t.Service})
	}
	return list
}

func hostPorts(in []record.PublishedPort) (out []app.Port) {
	for _, p := range in {
		port := app.Port{Host: p.HostPort, Target: p.Port, Proto: p.Proto}
		if p.HostIP.IsValid() {
			port.HostIP = p.HostIP.String()
		}
		out = append(out, port)
	}
	return out
}

// foreignPorts are the host ports of containers that are no tasks of ours.
func (f *Framework) foreignPorts() (taken []place.Taken) {
	for _, w := range f.linkers {
		if !w.up {
			continue
		}
		for _, e := range w.snapshot.Endpoints {
			if e.Host != w.name || f.tasks[e.Task] != nil || !e.Running {
				continue
			}
			for _, port := range hostPorts(e.Published) {
				taken = append(taken, place.Taken{
					Host: e.Host, Port: port, Holder: "container " + e.Container, App: e.App, Service: e.Service,
				})
			}
		}
	}
	return taken
}
