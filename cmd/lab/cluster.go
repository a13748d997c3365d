package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// clusterFile is what `tombolo daemon run --cluster` reads.
type clusterFile struct {
	Hosts    []clusterHost     `json:"hosts"`
	Registry map[string]string `json:"registry"`
	// PartitionTimeout is Go's notation; a lab waits less than a cluster.
	PartitionTimeout string `json:"partition_timeout"`
}

type clusterHost struct {
	Name     string `json:"name"`
	Docker   string `json:"docker"`
	Linker   string `json:"linker"`
	Underlay string `json:"underlay"`
	WorkDir  string `json:"work_dir"`
	CPUs     int    `json:"cpus"`
	MemBytes int64  `json:"mem_bytes"`
}

// writeClusterFile tells the control daemon about the hosts.
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

// cluster describes the hosts. Each has all the machine's processors, which they
// share, and a part of its memory.
func (l *Lab) cluster(mem int64) clusterFile {
	c := clusterFile{
		Registry: map[string]string{
			"push": l.RegistryPush,
			"pull": fmt.Sprintf("%s:%d", Gateway, RegistryPort),
		},
		PartitionTimeout: "10s",
	}
	for _, h := range l.Hosts {
		c.Hosts = append(c.Hosts, clusterHost{
			Name: h.Name, Docker: h.DockerHost(), Linker: h.LinkerSocket(), Underlay: h.Underlay.String(),
			WorkDir: h.AgentDir(), CPUs: runtime.NumCPU(), MemBytes: mem / int64(len(l.Hosts)),
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
