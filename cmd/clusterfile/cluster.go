// Package clusterfile describes the file that lists the hosts of an embedded
// cluster: `tombolo daemon run --cluster FILE` reads it, and a lab writes one. It runs
// nothing.
package clusterfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"tombolo/framework/api"
	"tombolo/linker/record"
)

// Cluster lists the hosts of an embedded cluster.
type Cluster struct {
	Hosts    []Host        `json:"hosts"`
	Registry *api.Registry `json:"registry,omitempty"` // nil: the cluster has none
	// PartitionTimeout is how long a host may be unreachable before its tasks are
	// replaced, in Go's notation (75s). Empty: the master's default.
	PartitionTimeout string `json:"partition_timeout,omitempty"`
}

// Host is one host of a cluster. Zero CPUs or MemBytes: all that its Engine reports.
type Host struct {
	Name     string  `json:"name"`               // the name that its linker uses
	Docker   string  `json:"docker"`             // address of its Engine: unix:///…
	Linker   string  `json:"linker,omitempty"`   // socket of its linker's API; empty: no linker
	Underlay string  `json:"underlay,omitempty"` // address by which other hosts reach it
	WorkDir  string  `json:"work_dir,omitempty"` // the agent's; the host sees it under the same path
	CPUs     float64 `json:"cpus,omitempty"`
	MemBytes int64   `json:"mem_bytes,omitempty"`

	Attributes map[string]string `json:"attributes,omitempty"` // for node.labels.NAME in constraints
}

// Read reads and validates a cluster file. Unknown keys are errors.
func Read(path string) (*Cluster, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cluster file: %w", err)
	}
	c, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("cluster file %s: %w", path, err)
	}
	return c, nil
}

// Timeout returns the partition timeout, or 0 if the file sets none.
func (c *Cluster) Timeout() (time.Duration, error) {
	if c.PartitionTimeout == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(c.PartitionTimeout)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("partition_timeout: %q is not a duration like 75s", c.PartitionTimeout)
	}
	return d, nil
}

// ThisMachine returns the cluster that has this machine as its only host.
func ThisMachine(dockerHost, linkerSocket string) (*Cluster, error) {
	name, err := os.Hostname()
	if err == nil {
		name, err = record.HostName(name)
	}
	if err != nil {
		return nil, fmt.Errorf("name of this machine: %w", err)
	}
	return &Cluster{Hosts: []Host{{Name: name, Docker: dockerHost, Linker: linkerSocket}}}, nil
}

func parse(data []byte) (*Cluster, error) {
	c := new(Cluster)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, err
	}
	return c, c.validate()
}

// validate reports every problem at once.
func (c *Cluster) validate() error {
	var errs []error
	if len(c.Hosts) == 0 {
		errs = append(errs, errors.New("hosts: the list is empty; name at least one host"))
	}
	seen := map[string]bool{}
	for i, h := range c.Hosts {
		if err := record.CheckLabel(h.Name); err != nil {
			errs = append(errs, fmt.Errorf("host %d: name: %w", i+1, err))
		}
		if seen[h.Name] {
			errs = append(errs, fmt.Errorf("host %q: the name appears twice", h.Name))
		}
		seen[h.Name] = true
		if h.Docker == "" {
			errs = append(errs, fmt.Errorf("host %q: docker is missing; it is the address of the Engine, like unix:///var/run/docker.sock", h.Name))
		}
	}
	_, err := c.Timeout()
	return errors.Join(append(errs, err)...)
}
