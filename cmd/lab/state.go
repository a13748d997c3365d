package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Process is a process that the lab started. Start tells it from a later process
// with the same number.
type Process struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // field 22 of /proc/PID/stat, in clock ticks since boot
}

// Host is one virtual host.
type Host struct {
	Name     string     `json:"name"`
	Underlay netip.Addr `json:"underlay"`
	Init     Process    `json:"init"`
}

// RunDir is what the host sees as /run.
func (h Host) RunDir() string { return filepath.Join(RunDir, h.Name) }

// DataDir holds the host's Docker data, linker state and agent sandboxes.
func (h Host) DataDir() string { return filepath.Join(DataDir, h.Name) }

// DockerHost is the host's Engine as DOCKER_HOST wants it.
func (h Host) DockerHost() string { return "unix://" + h.RunDir() + "/docker.sock" }

// LinkerSocket is the host's linker API.
func (h Host) LinkerSocket() string { return h.RunDir() + "/tombolo/linker.sock" }

// AgentDir is the agent's work directory: one path inside and outside of the host,
// because the agent runs outside and the Engine mounts sandboxes from inside.
func (h Host) AgentDir() string { return filepath.Join(h.DataDir(), "agent") }

// Alive reports whether the host's init runs.
func (h Host) Alive() bool { return h.Init.Alive() }

// Lab is a running lab, as its state file tells.
type Lab struct {
	Binary   string       `json:"binary"`
	NoLinker bool         `json:"no_linker,omitempty"`
	Pool6    netip.Prefix `json:"pool6,omitzero"` // the overlay's IPv6 range
	Hosts    []Host       `json:"hosts"`
	Registry Process      `json:"registry"`
	Control  Process      `json:"control"`
	// Owner, if any, is the process without which nobody wants the lab.
	Owner Process `json:"owner,omitzero"`
	// Ready says that Up came to its end.
	Ready bool `json:"ready"`
	// NoControl says that there shall be no control daemon.
	NoControl bool `json:"no_control,omitempty"`
	// RegistryPush is the registry's address on this machine's loopback.
	RegistryPush string `json:"registry_push,omitempty"`
}

// ErrNone says that no lab is up.
var ErrNone = errors.New("no lab is up (start one with: tombolo lab up)")

func statePath() string { return filepath.Join(RunDir, "lab.json") }

// Load reads the state file; ErrNone when there is none.
func Load() (*Lab, error) {
	b, err := os.ReadFile(statePath())
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("read lab state: %w", err)
	}
	var l Lab
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, fmt.Errorf("parse lab state %s: %w", statePath(), err)
	}
	return &l, nil
}

// Host finds a host by name.
func (l *Lab) Host(name string) (*Host, error) {
	for i := range l.Hosts {
		if l.Hosts[i].Name == name {
			return &l.Hosts[i], nil
		}
	}
	var names []string
	for _, h := range l.Hosts {
		names = append(names, h.Name)
	}
	return nil, fmt.Errorf("no host %q in this lab (its hosts: %s)", name, strings.Join(names, ", "))
}

func (l *Lab) save() error {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	tmp := statePath() + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("write lab state: %w", err)
	}
	return os.Rename(tmp, statePath())
}

func newProcess(pid int) Process { return Process{PID: pid, Start: startTime(pid)} }

// Alive reports whether this very process still runs (a zombie does not).
func (p Process) Alive() bool {
	return p.PID > 0 && p.Start != "" && startTime(p.PID) == p.Start
}

// startTime returns field 22 of /proc/PID/stat, or "" when the process is gone or
// a zombie.
func startTime(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The command name, field 2, may hold spaces and parentheses.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return ""
	}
	return f[19]
}
