package framework

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
	"tombolo/linker/record"
)

// network is the Docker network that each linker creates on its host.
const network = "tombolo"

// noResolver is a DNS option that no container sees, because /etc/resolv.conf is mounted
// over. A Docker Engine before version 26 cannot parse it, logs an error and starts no
// resolver of its own in the container (libnetwork's startResolver). That resolver would
// answer with names of containers that the asker must not see, and setting it up costs a
// child process and eleven runs of iptables.
const noResolver = "ndots:names-are-the-linker's"

// The smallest resources that Mesos' Docker containerizer accepts.
const (
	leastCPUs   = 0.01
	leastMemory = 32 << 20
)

// reserved are the resources that a task takes from an offer.
type reserved struct {
	cpus   float64
	memory int64
}

// reservation returns the resources for a task of a service.
func reservation(s app.Service) reserved {
	cpus, memory := s.Resources.Reserve()
	return reserved{max(cpus, leastCPUs), max(memory, leastMemory)}
}

// taskInfo describes a task to Mesos. offered are its host ports that lie in offered
// ranges. Everything for which Mesos' Docker containerizer has no field, or whose field
// it ignores, goes into docker.parameters: these come last on the command line of
// `docker run` and win.
func taskInfo(t *task, wanted app.App, resolver string, offered []uint16) mesos.TaskInfo {
	s := wanted.Services[t.Service]
	noShell := false
	return mesos.TaskInfo{
		Name:      fmt.Sprintf("%s.%s.%d", t.App, t.Service, t.Slot),
		TaskID:    mesos.TaskID{Value: t.ID},
		AgentID:   mesos.AgentID{Value: t.Agent},
		Resources: resources(reservation(s), offered),
		Container: container(t, wanted, resolver),
		Command: &mesos.CommandInfo{
			Shell: &noShell, Arguments: s.Args(), Environment: environment(t, s),
		},
		KillPolicy: &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: s.Grace().Nanoseconds()}},
	}
}

func resources(r reserved, ports []uint16) []mesos.Resource {
	scalar, ranges := mesos.SCALAR, mesos.RANGES
	list := []mesos.Resource{
		{Name: "cpus", Type: &scalar, Scalar: &mesos.Value_Scalar{Value: r.cpus}},
		{Name: "mem", Type: &scalar, Scalar: &mesos.Value_Scalar{Value: float64(r.memory) / (1 << 20)}},
	}
	if len(ports) == 0 {
		return list
	}
	var spans []mesos.Value_Range
	for _, port := range slices.Compact(slices.Sorted(slices.Values(ports))) {
		spans = append(spans, mesos.Value_Range{Begin: uint64(port), End: uint64(port)})
	}
	return append(list, mesos.Resource{Name: "ports", Type: &ranges, Ranges: &mesos.Value_Ranges{Range: spans}})
}

// environment returns the file's environment, and TOMBOLO_APP, _SERVICE, _SLOT and _HOST
// unless the file sets them itself.
func environment(t *task, s app.Service) *mesos.Environment {
	in := map[string]string{
		"TOMBOLO_APP": t.App, "TOMBOLO_SERVICE": t.Service, "TOMBOLO_SLOT": strconv.Itoa(t.Slot), "TOMBOLO_HOST": t.Host,
	}
	maps.Copy(in, s.Environment)
	out := &mesos.Environment{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		value := in[name]
		out.Variables = append(out.Variables, mesos.Environment_Variable{Name: name, Value: &value})
	}
	return out
}

func container(t *task, wanted app.App, resolver string) *mesos.ContainerInfo {
	s := wanted.Services[t.Service]
	docker, pull := mesos.ContainerInfo_DOCKER, s.PullPolicy == "always"
	mode := mesos.ContainerInfo_DockerInfo_USER
	info := &mesos.ContainerInfo{Type: &docker}
	switch s.NetworkMode {
	case app.NetworkNone:
		mode = mesos.ContainerInfo_DockerInfo_NONE
	case app.NetworkHost:
		mode = mesos.ContainerInfo_DockerInfo_HOST
	case app.NetworkBridge:
		mode = mesos.ContainerInfo_DockerInfo_BRIDGE
	default:
		name := network
		info.NetworkInfos = []mesos.NetworkInfo{{Name: &name}}
	}
	info.Docker = &mesos.ContainerInfo_DockerInfo{
		Image: s.Image, Network: &mode, ForcePullImage: &pull, Parameters: parameters(t, wanted, resolver),
	}
	return info
}

func parameters(t *task, wanted app.App, resolver string) []mesos.Parameter {
	s := wanted.Services[t.Service]
	p := &flags{}
	p.addAll(s.DockerFlags())
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		p.add("label", name+"="+s.Labels[name])
	}
	own := record.Labels(identity(t, wanted))
	for _, name := range slices.Sorted(maps.Keys(own)) {
		p.add("label", name+"="+own[name])
	}
	p.limits(s.Resources)
	p.addAll(wanted.MountFlags(t.Service))
	if s.NetworkMode == "" && resolver != "" {
		p.add("volume", resolver+":/etc/resolv.conf:ro")
		p.add("dns-opt", noResolver)
	}
	for _, port := range t.Ports {
		p.add("publish", publishFlag(port))
	}
	return p.list
}

// identity returns the endpoint that the labels of a task's container describe.
func identity(t *task, wanted app.App) record.Endpoint {
	s := wanted.Services[t.Service]
	return record.Endpoint{
		App: t.App, Service: t.Service, Slot: t.Slot, Generation: t.Generation, Task: t.ID,
		Networks: s.Networks, Links: links(s.Links), Strict: wanted.Strict, Export: (*record.Export)(s.Export),
		Ports: ports(s.Expose), Internal: s.Internal, ContainerName: s.ContainerName,
	}
}

// publishFlag returns the value of `docker run --publish`.
func publishFlag(port app.Port) string {
	to := fmt.Sprintf("%d/%s", port.Target, port.Proto)
	if port.Host != 0 || port.HostIP != "" {
		host := ""
		if port.Host != 0 {
			host = strconv.Itoa(int(port.Host))
		}
		if port.Last != 0 {
			host += "-" + strconv.Itoa(int(port.Last))
		}
		to = host + ":" + to
	}
	switch {
	case port.HostIP == "":
		return to
	case net.ParseIP(port.HostIP).To4() == nil:
		return "[" + port.HostIP + "]:" + to
	}
	return port.HostIP + ":" + to
}
