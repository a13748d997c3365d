package agent

import (
	"cmp"
	"maps"
	"slices"
	"syscall"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
)

// Like an agent of Mesos, an agent leaves this much memory and disk to the system, or
// half of a total that is less than twice as much
// (src/slave/containerizer/containerizer.cpp).
const (
	memReserve  = 1 << 30
	diskReserve = 5 << 30
)

// agentInfo describes an agent to the master, without its ID.
func agentInfo(cfg Config, m Machine) mesos.AgentInfo {
	mem := cmp.Or(cfg.MemBytes, afterReserve(m.MemBytes, memReserve))
	disk := afterReserve(diskBytes(cfg.WorkDir), diskReserve)
	ports := mesos.Ranges{{Begin: 31000, End: 32000}} // Mesos' default
	return mesos.AgentInfo{
		Hostname: cfg.Hostname, Port: new(int32(cfg.Port)), Attributes: attributes(cfg.Attributes),
		Resources: []mesos.Resource{
			resources.NewCPUs(cmp.Or(cfg.CPUs, float64(m.CPUs))).Resource,
			resources.NewMemory(float64(mem / mebibyte)).Resource,
			resources.NewDisk(float64(disk / mebibyte)).Resource,
			resources.Build().Name(resources.NamePorts).Ranges(ports).Resource,
		},
	}
}

func attributes(in map[string]string) (out []mesos.Attribute) {
	for _, name := range slices.Sorted(maps.Keys(in)) {
		out = append(out, mesos.Attribute{Name: name, Type: mesos.TEXT, Text: &mesos.Value_Text{Value: in[name]}})
	}
	return out
}

// afterReserve returns total without reserve, or half of total if that is more.
func afterReserve(total, reserve int64) int64 {
	if total < 2*reserve {
		return total / 2
	}
	return total - reserve
}

// diskBytes returns the size of the file system that holds path, or 0 if it is unknown.
func diskBytes(path string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0
	}
	return int64(s.Blocks) * s.Bsize
}
