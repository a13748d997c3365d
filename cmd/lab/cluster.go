package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"tombolo/cmd/clusterfile"
	"tombolo/framework/api"
)

// writeClusterFile writes the file that tells the control daemon about the hosts.
func (l *Lab) writeClusterFile() (string, error) {
	mem, err := memTotal()
	if err != nil {
		return "", err
	}
	b, err := json.MarshalIndent(l.cluster(mem), "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(RunDir, "cluster.json")
	return path, os.WriteFile(path, b, 0o600)
}

// cluster describes the hosts. Each offers all processors of the machine, which they
// share, and an equal part of its memory.
func (l *Lab) cluster(mem int64) clusterfile.Cluster {
	c := clusterfile.Cluster{
		Registry:         &api.Registry{Push: l.RegistryPush, Pull: fmt.Sprintf("%s:%d", Gateway, RegistryPort)},
		PartitionTimeout: "10s", // a lab waits less than a cluster
	}
	for _, h := range l.Hosts {
		c.Hosts = append(c.Hosts, clusterfile.Host{
			Name: h.Name, Docker: h.DockerHost(), Linker: h.LinkerSocket(), Underlay: h.Underlay.String(),
			WorkDir: h.AgentDir(), CPUs: float64(runtime.NumCPU()), MemBytes: mem / int64(len(l.Hosts)),
		})
	}
	return c
}

// memTotal reads the machine's memory in bytes from /proc/meminfo.
func memTotal() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var kib int64
	if _, err := fmt.Fscanf(f, "MemTotal: %d kB", &kib); err != nil {
		return 0, fmt.Errorf("read /proc/meminfo: %w", err)
	}
	return kib << 10, nil
}
