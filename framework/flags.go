package framework

import (
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

func (p *flags) all(list []app.Flag) {
	for _, flag := range list {
		p.add(flag.Name, flag.Value)
	}
}

// leastReservation is the least that Docker takes for memory-reservation.
const leastReservation = 6 << 20

// cfsPeriod is the kernel's own, in microseconds, leastQuota the least that Docker
// takes of it.
const (
	cfsPeriod  = 100_000
	leastQuota = 1_000
)

// limits says what the kernel enforces. Mesos turns the memory that is reserved
// into a limit, and on agents with --cgroups_enable_cfs the CPUs too; a service
// that names no limit gets none. What it reserves is what the kernel leaves it when
// memory is short, as with Compose. Docker has --cpus for the same as --cpu-quota, and
// refuses the two together, so the word is Mesos'.
func (p *flags) limits(r app.Resources) {
	p.add("memory", strconv.FormatInt(r.MemLimit, 10))
	if r.MemBytes >= leastReservation {
		p.add("memory-reservation", strconv.FormatInt(r.MemBytes, 10))
	}
	if p.has("cpu-quota") {
		return // the file's own
	}
	quota := int64(math.Round(r.CPULimit * cfsPeriod))
	if r.CPULimit > 0 {
		quota = max(quota, leastQuota)
	}
	p.add("cpu-quota", strconv.FormatInt(quota, 10))
}
