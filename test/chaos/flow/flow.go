// Package flow describes the traffic of the chaos test: what the programs in the containers write
// and the test reads.
package flow

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Port is where every server listens, TCP and UDP.
const Port = 7000

// Service is the name of the servers. Their app has no other service but the clients.
const Service = "server"

// State is the state of one flow: a TCP connection, or datagrams from one port, on which one
// exchange follows the other without end.
type State struct {
	From    string    `json:"from"`              // the client's host
	To      string    `json:"to"`                // the host of the server that answered last
	Network string    `json:"network"`           // "tcp" or "udp"
	Service bool      `json:"service,omitempty"` // it goes to the address of the service, not to that of an instance
	Began   time.Time `json:"began"`             // when the last exchange that was answered began
	Lost    []string  `json:"lost,omitempty"`    // why established TCP connections ended
}

// String names the flow.
func (s State) String() string {
	by := ""
	if s.Service {
		by = " by the service's address"
	}
	return fmt.Sprintf("%s from %s to %s%s", s.Network, s.From, s.To, by)
}

// Write replaces the file of a client's flows.
func Write(file string, flows []State) error {
	text, err := json.Marshal(flows)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Read returns the flows of every client that writes into a folder.
func Read(dir string) ([]State, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []State
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var flows []State
		if err := json.Unmarshal(text, &flows); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		all = append(all, flows...)
	}
	return all, nil
}
