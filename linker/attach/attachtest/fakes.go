// Package attachtest has in-memory fakes of the parts that an attach.Table works with.
package attachtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"tombolo/linker/record"
	"tombolo/overlay"
)

// Interfaces keeps interfaces in memory. It implements attach.Interfaces.
type Interfaces struct {
	// Block, if set, makes every Attach wait until it is closed, also after the end of
	// its context: an Attach that is stuck.
	Block chan struct{}
	// Err, if set, is returned by every Attach.
	Err error

	// EquipErr, if set, is returned by every Equip.
	EquipErr error

	mu       sync.Mutex
	attached map[string]overlay.Endpoint
	equipped []string
}

// Attach stores the endpoint.
func (f *Interfaces) Attach(_ context.Context, ep overlay.Endpoint) (overlay.Interface, error) {
	if f.Block != nil {
		<-f.Block
	}
	if f.Err != nil {
		return overlay.Interface{}, f.Err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attached == nil {
		f.attached = map[string]overlay.Endpoint{}
	}
	f.attached[ep.ID] = ep
	return overlay.Interface{Host: "tb" + ep.ID[:8], Container: "tbc" + ep.ID[:8]}, nil
}

// Equip notes the endpoint.
func (f *Interfaces) Equip(_ context.Context, ep overlay.Endpoint) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.equipped = append(f.equipped, ep.ID)
	return f.EquipErr
}

// Equipped returns the IDs of the endpoints that Equip was called for, in that order.
func (f *Interfaces) Equipped() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.equipped)
}

// Detach forgets the endpoint.
func (f *Interfaces) Detach(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.attached, id)
	return nil
}

// Attached returns the IDs of the endpoints that have an interface, sorted.
func (f *Interfaces) Attached() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.attached))
}

// Sockets maps "port/proto" to the process that listens there. It implements
// attach.Sockets.
type Sockets map[string]string

// Take looks the port up.
func (s Sockets) Take(p record.PublishedPort) string {
	return s[fmt.Sprintf("%d/%s", p.HostPort, p.Proto)]
}

// Keep does nothing.
func (s Sockets) Keep([]record.PublishedPort) {}
