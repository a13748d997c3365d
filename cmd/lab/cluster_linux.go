package lab

import (
	"fmt"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"tombolo/cmd/clusterfile"
	"tombolo/framework/api"
	"tombolo/internal/state"
)

// writeClusterFile writes the file that tells the control daemon about the hosts.
func (l *Lab) writeClusterFile() (path string, err error) {
	mem, err := memTotal()
	if err != nil {
		return "", err
	}
	path = filepath.Join(RunDir, "cluster.json")
	return path, state.Save(path, l.cluster(mem), false)
}

// cluster describes the hosts. Each offers all processors of the machine, which they
// share, and an equal part of its memory, mem bytes.
func (l *Lab) cluster(mem int64) clusterfile.Cluster {
	c := clusterfile.Cluster{
		Registry:         &api.Registry{Push: l.RegistryPush, Pull: fmt.Sprintf("%s:%d", Gateway, RegistryPort)},
		PartitionTimeout: "10s", // the default, for real networks, is longer
	}
	for _, h := range l.Hosts {
		c.Hosts = append(c.Hosts, clusterfile.Host{
			Name: h.Name, Docker: h.DockerHost(), Linker: h.LinkerSocket(), Underlay: h.Underlay.String(),
			WorkDir: h.AgentDir(), CPUs: float64(runtime.NumCPU()), MemBytes: mem / int64(len(l.Hosts)),
		})
	}
	return c
}

// memTotal returns the machine's memory in bytes.
func memTotal() (int64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("find out the memory of this machine: %w", err)
	}
	return int64(info.Totalram) * int64(info.Unit), nil
}
