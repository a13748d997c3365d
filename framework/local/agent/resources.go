package agent

import (
	"maps"
	"slices"
	"syscall"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// What Mesos leaves to the system when an agent is not told its resources
// (src/slave/containerizer/containerizer.cpp): 1 GB of memory and 5 GB of disk, or
// half of what there is.
const (
	memLeft  = 1 << 30
	diskLeft = 5 << 30
)

// agentInfo describes an agent on a machine to the master, without its ID.
func agentInfo(cfg Config, m Machine) mesos.AgentInfo {
	cpus, mem, disk := cfg.CPUs, cfg.MemBytes, less(diskBytes(cfg.WorkDir), diskLeft)
	if cpus == 0 {
		cpus = float64(m.CPUs)
	}
	if mem == 0 {
		mem = less(m.MemBytes, memLeft)
	}
	ports := []mesos.Value_Range{{Begin: 31000, End: 32000}} // Mesos' own
	port := int32(cfg.Port)
	return mesos.AgentInfo{
		Hostname: cfg.Hostname, Port: &port, Attributes: attributes(cfg.Attributes),
		Resources: []mesos.Resource{
			scalarResource("cpus", cpus),
			scalarResource("mem", float64(mem/mebibyte)),
			scalarResource("disk", float64(disk/mebibyte)),
			{Name: "ports", Type: mesos.RANGES.Enum(), Ranges: &mesos.Value_Ranges{Range: ports}},
		},
	}
}

func attributes(in map[string]string) (out []mesos.Attribute) {
	for _, name := range slices.Sorted(maps.Keys(in)) {
		out = append(out, mesos.Attribute{Name: name, Type: mesos.TEXT, Text: &mesos.Value_Text{Value: in[name]}})
	}
	return out
}

func scalarResource(name string, value float64) mesos.Resource {
	return mesos.Resource{Name: name, Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: value}}
}

func less(total, left int64) int64 {
	if total < 2*left {
		return total / 2
	}
	return total - left
}

// diskBytes is the size of the file system that holds path; 0 when unknown.
func diskBytes(path string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0
	}
	return int64(s.Blocks) * s.Bsize
}
