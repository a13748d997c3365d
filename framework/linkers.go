package framework

import (
	"maps"
	"slices"

	"tombolo/framework/app"
	"tombolo/framework/place"
	"tombolo/linker/record"
)

// recipients is how many linkers get a changed app record from the framework. They
// gossip it to the others.
const recipients = 3

// linkers are the connections to all linkers that the framework can reach, by host.
type linkers map[string]*linkerConn

// up returns the linkers that answer, ordered by host.
func (l linkers) up() (list []*linkerConn) {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if l[name].up {
			list = append(list, l[name])
		}
	}
	return list
}

// put sends a record to some of the linkers that answer.
func (l linkers) put(rec record.Record) {
	up := l.up()
	for _, c := range up[:min(len(up), recipients)] {
		c.outgoing.Put(rec)
	}
}

// catalog returns the catalog of a linker that answers, or nil if none does.
func (l linkers) catalog() *record.Snapshot {
	for _, c := range l {
		if c.up {
			return c.snapshot
		}
	}
	return nil
}

// hostRecord returns the record of a host, preferably from a linker that answers; nil if no
// linker has shown one yet.
func (l linkers) hostRecord(name string) (found *record.Host) {
	for _, c := range l {
		if c.snapshot == nil || c.snapshot.Hosts[name] == nil {
			continue
		}
		if c.up || found == nil {
			found = c.snapshot.Hosts[name]
		}
	}
	return found
}

// problem says why a host can take no task now; "" if it can.
func (l linkers) problem(host string) string {
	if len(l) == 0 {
		return ""
	}
	if c := l[host]; c != nil {
		if c.up {
			return ""
		}
		return "linker of " + host + " is down"
	}
	for _, c := range l {
		if c.up && c.snapshot.Hosts[host] != nil && !c.snapshot.Suspended[host] {
			return ""
		}
	}
	return "linker of " + host + " is not known"
}

// logs returns where the output of a host's containers can be read, or nil.
func (l linkers) logs(host string) Logs {
	if c := l[host]; c != nil && c.up {
		return c.api.Logs
	}
	return nil
}

// foreignPorts returns the host ports of the containers that are no tasks of ours.
func (l linkers) foreignPorts(tasks map[string]*task) (list []place.Taken) {
	for _, c := range l.up() {
		for _, e := range c.snapshot.Endpoints {
			if e.Host != c.name || tasks[e.Task] != nil || !e.Running {
				continue
			}
			holder := place.Taken{Host: e.Host, Holder: "container " + e.Container, App: e.App, Service: e.Service}
			list = append(list, taken(hostPorts(e.Published), holder)...)
		}
	}
	return list
}

// taken returns holder with each of its ports.
func taken(ports []app.Port, holder place.Taken) (list []place.Taken) {
	for _, holder.Port = range ports {
		list = append(list, holder)
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
