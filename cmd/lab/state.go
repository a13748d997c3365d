package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"tombolo/internal/state"
)

// ErrNone is Load's error if no lab is up.
var ErrNone = errors.New("no lab is up (start one with: tombolo lab up)")

// Lab is a lab as its state file describes it.
type Lab struct {
	Binary       string       `json:"binary"`
	Disk         string       `json:"disk"` // its folder in DataDir, see newDisk
	NoLinker     bool         `json:"no_linker,omitempty"`
	Pool4        netip.Prefix `json:"pool,omitzero"`  // IPv4 range of the overlay; unset: the default one
	Pool6        netip.Prefix `json:"pool6,omitzero"` // IPv6 range of the overlay; unset: no IPv6
	Hosts        []Host       `json:"hosts"`
	Registry     Process      `json:"registry"`
	Control      Process      `json:"control"`
	Owner        Process      `json:"owner,omitzero"` // see Config.Owner
	Ready        bool         `json:"ready"`          // Up has made the whole lab
	NoControl    bool         `json:"no_control,omitempty"`
	RegistryPush string       `json:"registry_push,omitempty"` // loopback address on which the registry takes pushes
	Engine       Engine       `json:"engine"`
}

// Host is one virtual host.
type Host struct {
	Name     string     `json:"name"`
	Disk     string     `json:"disk"` // of its lab
	Underlay netip.Addr `json:"underlay"`
	Init     Process    `json:"init"`
}

// Process is a process that the lab started. Start tells it apart from a later process
// with the same number.
type Process struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // field 22 of /proc/PID/stat, in clock ticks since boot
}

// Load reads the state file. It returns ErrNone if there is none.
func Load() (*Lab, error) {
	b, err := os.ReadFile(statePath())
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("read lab state: %w", err)
	}
	var l Lab
	if err := json.Unmarshal(b, &l); err != nil { // the file stays: it names processes that may run
		return nil, fmt.Errorf("parse lab state %s: %w", statePath(), err)
	}
	return &l, nil
}

// Host finds a host by name.
func (l *Lab) Host(name string) (*Host, error) {
	var names []string
	for i := range l.Hosts {
		if l.Hosts[i].Name == name {
			return &l.Hosts[i], nil
		}
		names = append(names, l.Hosts[i].Name)
	}
	return nil, fmt.Errorf("no host %q in this lab (its hosts: %s)", name, strings.Join(names, ", "))
}

func (l *Lab) save() error { return state.Save(statePath(), l, false) }

func statePath() string { return filepath.Join(RunDir, "lab.json") }

// RunDir is the folder that the host sees as /run.
func (h Host) RunDir() string { return filepath.Join(RunDir, h.Name) }

// DataDir is the folder of the host's Docker data, linker state and agent sandboxes.
func (h Host) DataDir() string { return filepath.Join(h.Disk, h.Name) }

// DockerHost is the address of the host's Engine, in the form of $DOCKER_HOST.
func (h Host) DockerHost() string { return "unix://" + h.engineSocket() }

func (h Host) engineSocket() string { return h.RunDir() + "/docker.sock" }

// LinkerSocket is the socket of the host's linker API.
func (h Host) LinkerSocket() string { return h.RunDir() + "/tombolo/linker.sock" }

// agentDir is the agent's work folder. It has the same path inside and outside of the
// host, because the agent runs outside and the Engine inside mounts its sandboxes.
func (h Host) agentDir() string { return filepath.Join(h.DataDir(), "agent") }

// Alive reports whether the host's init runs.
func (h Host) Alive() bool { return h.Init.Alive() }

func newProcess(pid int) Process { return Process{PID: pid, Start: startTime(pid)} }

// Alive reports whether this very process still runs. A zombie does not.
func (p Process) Alive() bool {
	return p.PID > 0 && p.Start != "" && startTime(p.PID) == p.Start
}

// startTime returns field 22 of /proc/PID/stat, or "" if the process has ended or is a
// zombie.
func startTime(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// Field 2, the name of the command, may contain spaces and parentheses.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return ""
	}
	return f[19]
}
