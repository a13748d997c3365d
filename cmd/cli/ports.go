package cli

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

// portList is what `ps` shows of an instance's ports: 8080->80/tcp.
func portList(ports []app.Port) string {
	var all []string
	for _, p := range ports {
		host := strconv.Itoa(int(p.Host))
		if p.HostIP != "" {
			host = net.JoinHostPort(p.HostIP, host)
		}
		all = append(all, fmt.Sprintf("%s->%d/%s", host, p.Target, p.Proto))
	}
	return strings.Join(all, ", ")
}

// reachable lists, for each service with published ports, where they are: a line
// for each of the service's ports. hosts tells the addresses of hosts.
func reachable(s api.Status, hosts []api.Host) []string {
	type port struct {
		service string
		target  uint16
		proto   string
	}
	at := map[port][]string{}
	for _, i := range s.Instances {
		for _, p := range i.Ports {
			key := port{i.Service, p.Target, p.Proto}
			at[key] = append(at[key], net.JoinHostPort(cmp.Or(p.HostIP, hostAddress(i.Host, hosts)), strconv.Itoa(int(p.Host))))
		}
	}
	keys := slices.SortedFunc(maps.Keys(at), func(a, b port) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.target, b.target), cmp.Compare(a.proto, b.proto))
	})
	var lines []string
	for _, k := range keys {
		slices.Sort(at[k])
		lines = append(lines, fmt.Sprintf("%s %d/%s: %s", k.service, k.target, k.proto, strings.Join(slices.Compact(at[k]), " ")))
	}
	return lines
}

// hostAddress is by what a host is reached from outside: its name, where no linker
// has told more.
func hostAddress(name string, hosts []api.Host) string {
	for _, h := range hosts {
		if h.Name == name && h.Underlay != "" {
			return h.Underlay
		}
	}
	return name
}
