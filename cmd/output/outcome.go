package output

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

// Up prints that an app is up, the addresses of its published ports, and its warnings.
// hosts gives the addresses of hosts; those that are not in it go by their names.
func Up(out io.Writer, s api.Status, hosts []api.Host) {
	plural := "s"
	if len(s.Instances) == 1 {
		plural = ""
	}
	fmt.Fprintf(out, "%s is up: %d instance%s\n", s.App, len(s.Instances), plural)
	for _, line := range published(s.Instances, hosts) {
		fmt.Fprintf(out, "  %s\n", line)
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(out, "warning: %s\n", warning)
	}
	Troubles(out, s)
}

// Troubles prints the hosts of apps that are not ready, each once.
func Troubles(out io.Writer, apps ...api.Status) {
	told := map[string]bool{}
	for _, a := range apps {
		for _, trouble := range a.Troubles {
			if !told[trouble] {
				told[trouble] = true
				fmt.Fprintf(out, "warning: %s (see there: tombolo linker status)\n", trouble)
			}
		}
	}
}

// Failures prints the instances that keep an app from being up, each with the last lines
// of its log. Instances that failed by themselves come first; if the app has failed, only
// those are the cause, and the ones that wait for them are left out. Hosts that are not ready
// come last.
func Failures(out io.Writer, s api.Status) {
	var failed, waiting []api.Instance
	for _, i := range s.Instances {
		switch {
		case ready(i):
		case len(i.Log) > 0 || i.State == api.StateFailed || i.State == api.StateUnhealthy || i.State == api.StateLost:
			failed = append(failed, i)
		default:
			waiting = append(waiting, i)
		}
	}
	if s.Failed != "" && len(failed) > 0 {
		waiting = nil
	}
	for _, i := range slices.Concat(failed, waiting) {
		fmt.Fprintf(out, "%s\n", Describe(i))
		for _, line := range i.Log {
			fmt.Fprintf(out, "    | %s\n", line)
		}
	}
	Troubles(out, s)
}

// portList returns the published ports of an instance as `ps` shows them: 8080->80/tcp, or
// *:8080->80/tcp for a port that every host serves.
func portList(ports []app.Port) string {
	var all []string
	for _, p := range ports {
		host := strconv.Itoa(int(p.Host))
		switch {
		case p.HostIP != "":
			host = net.JoinHostPort(p.HostIP, host)
		case p.OnEveryHost():
			host = "*:" + host
		}
		all = append(all, fmt.Sprintf("%s->%d/%s", host, p.Target, p.Proto))
	}
	return strings.Join(all, ", ")
}

// published returns a line for each published port of each service, with the addresses
// that reach it.
func published(instances []api.Instance, hosts []api.Host) []string {
	type port struct {
		service string
		target  uint16
		proto   string
	}
	at := map[port][]string{}
	for _, i := range instances {
		for _, p := range i.Ports {
			key := port{i.Service, p.Target, p.Proto}
			for _, address := range addresses(p, i.Host, hosts) {
				at[key] = append(at[key], net.JoinHostPort(address, strconv.Itoa(int(p.Host))))
			}
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

// addresses returns where a port of an instance answers.
func addresses(p app.Port, host string, hosts []api.Host) (list []string) {
	if p.HostIP != "" || !p.OnEveryHost() {
		return []string{cmp.Or(p.HostIP, hostAddress(host, hosts))}
	}
	for _, h := range hosts {
		list = append(list, hostAddress(h.Name, hosts))
	}
	return list
}

// hostAddress returns the underlay address of a host, or its name if no linker has
// reported an address.
func hostAddress(name string, hosts []api.Host) string {
	for _, h := range hosts {
		if h.Name == name && h.Underlay != "" {
			return h.Underlay
		}
	}
	return name
}
