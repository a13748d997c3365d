package framework

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
	"tombolo/framework/local"
	"tombolo/linker/record"
)

// network is the Docker network that each linker creates on its host.
const network = "tombolo"

// resolver is the file on every host that containers get as /etc/resolv.conf. Every
// linker writes it; it names 169.254.1.1, where linkers answer DNS queries.
const resolver = "/var/lib/tombolo/resolv.conf"

// noResolver is a DNS option that no container sees, because /etc/resolv.conf is mounted
// over. A Docker Engine before version 26 cannot parse it, logs an error and starts no
// resolver of its own in the container (libnetwork's startResolver). That resolver would
// answer with names of containers that the asker must not see, and setting it up costs a
// child process and eleven runs of iptables.
const noResolver = "ndots:names-are-the-linker's"

// resolverAddr is where linkers answer DNS queries. An Engine from version 26 on starts its own
// resolver in spite of noResolver. This one would ask the host's name servers; with this option it
// asks the linker, in the container's name. Besides, the linker leads the container's queries past it.
const resolverAddr = "169.254.1.1"

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

// taskInfo describes a task to Mesos. linked says that linkers answer DNS queries;
// offered are its host ports that lie in offered ranges. Settings for which Mesos' Docker
// containerizer has no field, or whose field it ignores, go into docker.parameters: these
// come last on the command line of `docker run` and win.
func taskInfo(t *task, wanted app.App, linked bool, offered []uint16) mesos.TaskInfo {
	wanted = withSlotVolumes(wanted, t.Task)
	s := wanted.Services[t.Service]
	return mesos.TaskInfo{
		Name:       fmt.Sprintf("%s.%s.%d", t.App, t.Service, t.Slot),
		TaskID:     mesos.TaskID{Value: t.ID},
		AgentID:    mesos.AgentID{Value: t.Agent},
		Resources:  resources(reservation(s), offered),
		Container:  container(t, wanted, linked),
		Command:    &mesos.CommandInfo{Shell: new(false), Arguments: s.Args(), Environment: environment(t, s)},
		KillPolicy: &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: s.Grace().Nanoseconds()}},
		Labels:     agentLabels(t, s),
	}
}

// agentLabels tell an embedded agent what Docker's flags, which are all that Mesos passes on, cannot
// say: how to name the volumes of the image, and the words of a health check in CMD form.
func agentLabels(t *task, s app.Service) *mesos.Labels {
	labels := &mesos.Labels{Labels: []mesos.Label{agentLabel(local.VolumesLabel, slotVolumes(t.Task, s))}}
	if h := s.Health; h != nil && len(h.Test) > 1 && h.Test[0] == "CMD" {
		labels.Labels = append(labels.Labels, agentLabel(local.HealthcheckLabel, h.Test[1:]))
	}
	return labels
}

func agentLabel(key string, value any) mesos.Label {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("encode label %s: %v", key, err)) // it has texts only
	}
	text := string(raw)
	return mesos.Label{Key: key, Value: &text}
}

func resources(r reserved, ports []uint16) []mesos.Resource {
	list := []mesos.Resource{
		{Name: "cpus", Type: new(mesos.SCALAR), Scalar: &mesos.Value_Scalar{Value: r.cpus}},
		{Name: "mem", Type: new(mesos.SCALAR), Scalar: &mesos.Value_Scalar{Value: float64(r.memory) / (1 << 20)}},
	}
	if len(ports) == 0 {
		return list
	}
	var spans []mesos.Value_Range
	for _, port := range slices.Compact(slices.Sorted(slices.Values(ports))) {
		spans = append(spans, mesos.Value_Range{Begin: uint64(port), End: uint64(port)})
	}
	return append(list, mesos.Resource{Name: "ports", Type: new(mesos.RANGES), Ranges: &mesos.Value_Ranges{Range: spans}})
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
		out.Variables = append(out.Variables, mesos.Environment_Variable{Name: name, Value: new(in[name])})
	}
	return out
}

func container(t *task, wanted app.App, linked bool) *mesos.ContainerInfo {
	s := wanted.Services[t.Service]
	info := &mesos.ContainerInfo{Type: new(mesos.ContainerInfo_DOCKER)}
	mode, docker := map[string]mesos.ContainerInfo_DockerInfo_Network{
		app.NetworkNone:   mesos.ContainerInfo_DockerInfo_NONE,
		app.NetworkHost:   mesos.ContainerInfo_DockerInfo_HOST,
		app.NetworkBridge: mesos.ContainerInfo_DockerInfo_BRIDGE,
	}[s.NetworkMode]
	if !docker {
		mode = mesos.ContainerInfo_DockerInfo_USER
		info.NetworkInfos = []mesos.NetworkInfo{{Name: new(networkOption(s))}}
	}
	info.Docker = &mesos.ContainerInfo_DockerInfo{
		Image: s.Image, Network: &mode, ForcePullImage: new(s.PullPolicy == "always"), Parameters: parameters(t, wanted, linked),
	}
	return info
}

// networkOption returns the value of `docker run --network`. Mesos passes the name of a network on
// as it is, and reads the container's address under the name that Docker shows.
func networkOption(s app.Service) string {
	if s.Interface == "" {
		return network
	}
	return "name=" + network + ",driver-opt=com.docker.network.endpoint.ifname=" + s.Interface
}

func parameters(t *task, wanted app.App, linked bool) []mesos.Parameter {
	s := wanted.Services[t.Service]
	p := &flags{}
	p.addAll(s.DockerFlags())
	p.addLabels(s.Labels)
	p.addLabels(record.Labels(identity(t, wanted)))
	p.limits(s.Resources)
	if s.NeverPulled() {
		p.add("pull", "never")
	}
	p.addAll(wanted.MountFlags(t.Service))
	if s.NetworkMode == "" && linked {
		p.add("volume", resolver+":/etc/resolv.conf:ro")
		p.add("dns-opt", noResolver)
		p.add("dns", resolverAddr)
	}
	for _, port := range app.OfInstances(t.Ports) {
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
		Ports: ports(s.Expose), Internal: s.Internal, ContainerName: s.ContainerName, DNSRR: s.DNSRR,
	}
}

// publishFlag returns the value of `docker run --publish`.
func publishFlag(port app.Port) string {
	host := ""
	if port.Host != 0 {
		host = strconv.Itoa(int(port.Host))
	}
	if port.Last != 0 {
		host += "-" + strconv.Itoa(int(port.Last))
	}
	switch {
	case port.HostIP != "":
		host = net.JoinHostPort(port.HostIP, host) + ":" // with brackets for an IPv6 address
	case host != "":
		host += ":"
	}
	return fmt.Sprintf("%s%d/%s", host, port.Target, port.Proto)
}

// localVolumes returns the names of a service's volumes that exist on one host only.
func localVolumes(wanted app.App, service app.Service) (names []string) {
	byName := map[string]app.Volume{}
	for _, v := range wanted.Volumes {
		byName[v.Name] = v
	}
	for _, m := range service.Mounts {
		if m.Type == app.MountVolume && m.Source != "" && !shared(byName[m.Source]) {
			names = append(names, m.Source)
		}
	}
	return names
}

// shared reports whether all hosts find the same data in a volume: it has a driver
// other than Docker's own, or the kernel mounts a network file system.
func shared(v app.Volume) bool {
	if v.Driver != "" && v.Driver != "local" {
		return true
	}
	return slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "ceph"}, v.Options["type"])
}

// flags collects flags of `docker run`.
type flags struct{ list []mesos.Parameter }

func (p *flags) add(name, value string) {
	p.list = append(p.list, mesos.Parameter{Key: name, Value: value})
}

func (p *flags) addLabels(labels map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		p.add("label", name+"="+labels[name])
	}
}

func (p *flags) addAll(list []app.Flag) {
	for _, flag := range list {
		p.add(flag.Name, flag.Value)
	}
}

// leastReservation is the smallest memory-reservation that Docker accepts.
const leastReservation = 6 << 20

// The period of the kernel's CPU scheduler and the smallest quota of it that Docker
// accepts, in microseconds.
const (
	cfsPeriod  = 100_000
	leastQuota = 1_000
)

// limits adds the limits that the kernel enforces. Mesos turns reserved memory into a
// limit, and on agents with --cgroups_enable_cfs reserved CPUs too; a service without
// limits gets none here. Its reserved memory becomes a soft limit, for when the host is
// short of memory, as with Compose. CPUs are limited with --cpu-quota, as Mesos does,
// because Docker refuses it together with --cpus.
func (p *flags) limits(r app.Resources) {
	p.add("memory", strconv.FormatInt(r.MemLimit, 10))
	if r.MemBytes >= leastReservation {
		p.add("memory-reservation", strconv.FormatInt(r.MemBytes, 10))
	}
	if slices.ContainsFunc(p.list, func(f mesos.Parameter) bool { return f.Key == "cpu-quota" }) {
		return // set by the file
	}
	quota := int64(math.Round(r.CPULimit * cfsPeriod))
	if r.CPULimit > 0 {
		quota = max(quota, leastQuota)
	}
	p.add("cpu-quota", strconv.FormatInt(quota, 10))
}
