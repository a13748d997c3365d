package framework

import (
	"strconv"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
)

// flags collects flags of `docker run`.
type flags struct{ list []mesos.Parameter }

func (p *flags) add(name, value string) {
	p.list = append(p.list, mesos.Parameter{Key: name, Value: value})
}

func (p *flags) all(list []app.Flag) {
	for _, flag := range list {
		p.add(flag.Name, flag.Value)
	}
}

// leastReservation is the least that Docker takes for memory-reservation.
const leastReservation = 6 << 20

// limits says what the kernel enforces. Mesos turns the memory that is reserved
// into a limit; a service that names none gets none. What it reserves is what the
// kernel leaves it when memory is short, as with Compose.
func (p *flags) limits(r app.Resources) {
	p.add("memory", strconv.FormatInt(r.MemLimit, 10))
	if r.MemBytes >= leastReservation {
		p.add("memory-reservation", strconv.FormatInt(r.MemBytes, 10))
	}
	if r.CPULimit > 0 {
		p.add("cpus", strconv.FormatFloat(r.CPULimit, 'f', -1, 64))
	}
}
