package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/local/agent"
	"tombolo/linker/record"
)

// clusterFile says which hosts an embedded cluster has. Without one it is this
// machine alone.
type clusterFile struct {
	Hosts    []clusterHost `json:"hosts"`
	Registry *api.Registry `json:"registry,omitempty"`
	// PartitionTimeout is how long a host may be away before its tasks are
	// replaced, in Go's notation (75s).
	PartitionTimeout string `json:"partition_timeout,omitempty"`
}

type clusterHost struct {
	Name     string  `json:"name"`             // as the host's linker has it
	Docker   string  `json:"docker"`           // unix:///…
	Linker   string  `json:"linker,omitempty"` // the socket of its API
	Underlay string  `json:"underlay,omitempty"`
	WorkDir  string  `json:"work_dir,omitempty"` // seen by the host under the same path
	CPUs     float64 `json:"cpus,omitempty"`
	MemBytes int64   `json:"mem_bytes,omitempty"`

	Attributes map[string]string `json:"attributes,omitempty"` // for node.labels.NAME in constraints
}

// readCluster reads a cluster file; unknown keys are errors.
func readCluster(path string) (*clusterFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cluster file: %w", err)
	}
	return parseCluster(data)
}

func parseCluster(data []byte) (*clusterFile, error) {
	c := new(clusterFile)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("cluster file: %w", err)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("cluster file: %w", err)
	}
	return c, nil
}

// validate reports every problem at once.
func (c *clusterFile) validate() error {
	var errs []error
	if len(c.Hosts) == 0 {
		errs = append(errs, errors.New("no hosts"))
	}
	seen := map[string]bool{}
	for i, h := range c.Hosts {
		if err := record.CheckLabel(h.Name); err != nil {
			errs = append(errs, fmt.Errorf("host %d: name: %w", i+1, err))
		}
		if seen[h.Name] {
			errs = append(errs, fmt.Errorf("host %q is there twice", h.Name))
		}
		seen[h.Name] = true
		if h.Docker == "" {
			errs = append(errs, fmt.Errorf("host %q has no docker", h.Name))
		}
	}
	if _, err := c.partitionTimeout(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *clusterFile) partitionTimeout() (time.Duration, error) {
	if c.PartitionTimeout == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(c.PartitionTimeout)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("partition_timeout %q is no duration like 75s", c.PartitionTimeout)
	}
	return d, nil
}

// agents configures one agent a host, with state below dir.
func (c *clusterFile) agents(dir string) []agent.Config {
	var all []agent.Config
	for _, h := range c.Hosts {
		work := h.WorkDir
		if work == "" {
			work = filepath.Join(dir, "agents", h.Name)
		}
		all = append(all, agent.Config{
			Hostname: h.Name, DockerHost: h.Docker, WorkDir: work, IP: h.Underlay, CPUs: h.CPUs, MemBytes: h.MemBytes,
			Attributes: h.Attributes,
		})
	}
	return all
}

// thisMachine is the cluster of one that `tombolo up` starts by itself.
func thisMachine(runDir string) (*clusterFile, error) {
	machine, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("this machine's name: %w", err)
	}
	name, err := record.HostName(machine)
	if err != nil {
		return nil, fmt.Errorf("this machine's name: %w", err)
	}
	return &clusterFile{Hosts: []clusterHost{{
		Name: name, Docker: machineDocker(), Linker: filepath.Join(runDir, "linker.sock"),
	}}}, nil
}

// machineDocker is this machine's Engine.
func machineDocker() string {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return host
	}
	return "unix:///var/run/docker.sock"
}
