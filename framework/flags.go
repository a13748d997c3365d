package framework

import (
	"maps"
	"math"
	"slices"
	"strconv"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
)

// flags collects flags of `docker run`.
type flags struct{ list []mesos.Parameter }

func (p *flags) add(name, value string) {
	p.list = append(p.list, mesos.Parameter{Key: name, Value: value})
}

func (p *flags) has(name string) bool {
	return slices.ContainsFunc(p.list, func(f mesos.Parameter) bool { return f.Key == name })
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
	if p.has("cpu-quota") {
		return // set by the file
	}
	quota := int64(math.Round(r.CPULimit * cfsPeriod))
	if r.CPULimit > 0 {
		quota = max(quota, leastQuota)
	}
	p.add("cpu-quota", strconv.FormatInt(quota, 10))
}
