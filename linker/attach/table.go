package attach

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tombolo/internal/state"
	"tombolo/internal/wake"
	"tombolo/linker/ipam"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// Types of other packages that a driver of a Table needs, so that the plugin imports
// this package alone.
type (
	// Interface is a container's pair of devices.
	Interface = overlay.Interface
	// PublishedPort is a port of the host that leads to a port of an endpoint.
	PublishedPort = record.PublishedPort
)

// Gateway4 is the next hop of every container, a link-local address of the host.
var Gateway4 = overlay.Gateway4

// Interfaces makes, equips and removes containers' interfaces: overlay.Overlay.
type Interfaces interface {
	Attach(ctx context.Context, ep overlay.Endpoint) (overlay.Interface, error)
	Equip(ctx context.Context, ep overlay.Endpoint) error
	Detach(ctx context.Context, id string) error
}

// Sockets holds ports of the host, so that no other process can have them: hostport.Ports.
type Sockets interface {
	// Take holds p's host port. It returns "" or, if the port is taken, its holder.
	Take(p record.PublishedPort) (holder string)
	// Keep gives up the ports that Take took and that are not among these.
	Keep(ports []record.PublishedPort)
}

// Endpoint is a container's place on the overlay, as Docker asked for it. Only Docker's
// events tell which container it belongs to.
type Endpoint struct {
	ID        string                 `json:"id"` // libnetwork's endpoint ID
	Addr4     netip.Addr             `json:"addr4"`
	Addr6     netip.Addr             `json:"addr6,omitzero"` // has the same number in the block as Addr4; unset without IPv6
	MAC       string                 `json:"mac,omitempty"`
	Interface string                 `json:"interface,omitempty"` // name in the container that was asked for; "": Docker chooses it
	Joined    bool                   `json:"joined,omitempty"`    // the interface exists
	Sandbox   string                 `json:"sandbox,omitempty"`   // path of the network namespace into which Docker moves the interface
	Published []record.PublishedPort `json:"published,omitempty"`
	Created   time.Time              `json:"created"`
}

// Config has the files and parts that a Table works with.
type Config struct {
	File       string // the table's file
	Addresses  *ipam.Allocator
	Interfaces Interfaces
	Sockets    Sockets
	// Describe names the container of an endpoint for error messages. It returns "" if
	// that is not known.
	Describe func(id string) string
	// WithoutService reports whether an endpoint is known to belong to no service. No
	// other endpoint can then be its replica and share its ports.
	WithoutService func(id string) bool
	Log            *slog.Logger
}

// Table holds this host's endpoints. Its methods are safe for concurrent use.
type Table struct {
	cfg     Config
	fresh   bool
	changes wake.Broadcast
	locks   endpointLocks
	byAddr  atomic.Pointer[map[netip.Addr]string] // address -> endpoint ID; replaced at every change

	mu     sync.Mutex
	doc    document
	ports  hostPorts
	absent absences
}

// document is the content of the table's file.
type document struct {
	Network   string               `json:"network,omitempty"` // libnetwork's ID of the one network; "" without one
	Endpoints map[string]*Endpoint `json:"endpoints"`
}

// Open reads the table that an earlier run left. It moves a broken file aside and logs
// that; Reconcile then adopts the endpoints that Docker still has.
func Open(cfg Config) (*Table, error) {
	t := &Table{
		cfg:    cfg,
		absent: absences{missing: map[string]time.Time{}, deleted: map[string]time.Time{}},
	}
	if err := state.LoadOrReset(cfg.File, &t.doc, cfg.Log, "the table of endpoints starts empty"); err != nil {
		return nil, err
	}
	if t.doc.Endpoints == nil {
		t.fresh = true
		t.doc.Endpoints = map[string]*Endpoint{}
	}
	t.ports = hostPorts{endpoints: t.doc.Endpoints, sockets: cfg.Sockets, describe: cfg.Describe, withoutService: cfg.WithoutService}
	t.indexAddresses()
	t.ports.keep()
	return t, nil
}

// Sandboxes returns the paths of the network namespaces in the table that an earlier run left in
// a file. A missing file means none.
func Sandboxes(file string) ([]string, error) {
	var doc document
	if err := state.Load(file, &doc); err != nil {
		return nil, err
	}
	var paths []string
	for _, ep := range doc.Endpoints {
		if ep.Sandbox != "" {
			paths = append(paths, ep.Sandbox)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// Fresh reports whether there was no table of an earlier run. Until the first Reconcile,
// Docker may then have endpoints that the table lacks.
func (t *Table) Fresh() bool { return t.fresh }

// Network returns the ID of the network that uses the driver, or "".
func (t *Table) Network() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.doc.Network
}

// CreateNetwork enters the one network that this host's linker serves. It refuses a
// second one: apps, links and policy separate containers, so a second network would
// separate nothing more.
func (t *Table) CreateNetwork(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doc.Network != "" && t.doc.Network != id {
		return fmt.Errorf("this host already has a network on the tombolo driver (%s): use that one for all containers, policy keeps apps apart",
			Short(t.doc.Network))
	}
	t.doc.Network = id
	return t.changed()
}

// DeleteNetwork forgets the network. It ignores any other ID.
func (t *Table) DeleteNetwork(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doc.Network != id {
		return nil
	}
	t.doc.Network = ""
	return t.changed()
}

// Create enters an endpoint into the table and reserves its published ports: a HostPort
// of 0 becomes a free port. A port that is taken is an error that names the port and its
// holder. Two endpoints may publish exactly the same, because only later it is known
// whether they are replicas of one service. An address that was not handed out for this
// endpoint is an error, because the endpoint could then pass for another container.
func (t *Table) Create(ctx context.Context, ep Endpoint) error {
	return t.locks.with(ctx, ep.ID, func() error {
		t.mu.Lock()
		defer t.mu.Unlock()
		ports, err := t.ports.claim(ep.ID, ep.Published)
		if err := errors.Join(t.checkAddr(&ep), err); err != nil {
			t.ports.keep()
			return err
		}
		ep.Addr6, ep.Published, ep.Created = t.cfg.Addresses.Sibling(ep.Addr4), ports, time.Now()
		if old := t.doc.Endpoints[ep.ID]; old != nil {
			ep.Joined, ep.Sandbox, ep.Created = old.Joined, old.Sandbox, old.Created
		}
		t.doc.Endpoints[ep.ID] = &ep
		return t.changed()
	})
}

// Join makes the endpoint's interface, which Docker then moves into the network
// namespace at sandbox, and the name that it shall have there, see Endpoint.Interface. A
// repeated call returns the same interface.
func (t *Table) Join(ctx context.Context, id, sandbox string) (iface overlay.Interface, name string, err error) {
	err = t.locks.with(ctx, id, func() error {
		ep, ok := t.endpoint(id)
		if !ok {
			return unknown(id)
		}
		ep.Sandbox, name = sandbox, ep.Interface
		if iface, err = t.cfg.Interfaces.Attach(ctx, ep.unidentified()); err != nil {
			return fmt.Errorf("attach endpoint %s: %w", Short(id), err)
		}
		return t.update(id, func(ep *Endpoint) { ep.Joined, ep.Sandbox = true, sandbox })
	})
	return iface, name, err
}

// Publish reserves ports of the host for an endpoint, besides those that it has. Engine 29
// calls it when the interface is in the container and before the container's process starts,
// so Publish also equips the container. An error keeps the process from starting. Engine 20.10
// calls it before the interface is there.
func (t *Table) Publish(ctx context.Context, id string, ports []record.PublishedPort) error {
	return t.locks.with(ctx, id, func() error {
		if err := t.reserve(id, ports); err != nil {
			return err
		}
		ep, ok := t.endpoint(id)
		if !ok || !ep.Joined {
			return nil
		}
		return t.cfg.Interfaces.Equip(ctx, ep.unidentified())
	})
}

func (t *Table) reserve(id string, ports []record.PublishedPort) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	ep := t.doc.Endpoints[id]
	if ep == nil {
		return unknown(id)
	}
	got, err := t.ports.claim(id, mergePorts(ep.Published, ports))
	if err != nil || slices.Equal(got, ep.Published) {
		t.ports.keep()
		return err
	}
	ep.Published = got
	return t.changed()
}

// Unpublish releases all host ports of an endpoint. An unknown endpoint is no error.
func (t *Table) Unpublish(ctx context.Context, id string) error {
	return t.locks.with(ctx, id, func() error {
		return ignoreUnknown(t.update(id, func(ep *Endpoint) { ep.Published = nil }))
	})
}

// Leave removes the endpoint's interface and releases its host ports, because an Engine that
// was restarted under running containers (live-restore) does not ask for Unpublish. An unknown
// endpoint is no error.
func (t *Table) Leave(ctx context.Context, id string) error {
	return t.locks.with(ctx, id, func() error { return t.leave(ctx, id) })
}

// Delete removes the endpoint, and its interface if that still exists. An unknown
// endpoint is no error.
func (t *Table) Delete(ctx context.Context, id string) error {
	return t.locks.with(ctx, id, func() error {
		if ep, ok := t.endpoint(id); !ok || ep.Joined { // Leave has removed the interface of any other
			if err := t.leave(ctx, id); err != nil {
				return err
			}
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.doc.Endpoints[id] == nil {
			return nil
		}
		delete(t.doc.Endpoints, id)
		t.absent.deleted[id] = time.Now()
		return t.changed()
	})
}

// Snapshot returns the endpoints, sorted by ID.
func (t *Table) Snapshot() []Endpoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Endpoint, 0, len(t.doc.Endpoints))
	for _, ep := range t.doc.Endpoints {
		out = append(out, *ep)
	}
	slices.SortFunc(out, func(a, b Endpoint) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Watch tells of changes to the table, as wake.Broadcast.Watch does.
func (t *Table) Watch() (changes <-chan struct{}, cancel func()) { return t.changes.Watch() }

// Short shortens an ID for messages.
func Short(id string) string { return id[:min(12, len(id))] }

func (t *Table) leave(ctx context.Context, id string) error {
	if err := t.cfg.Interfaces.Detach(ctx, id); err != nil {
		return fmt.Errorf("detach endpoint %s: %w", Short(id), err)
	}
	return ignoreUnknown(t.update(id, func(ep *Endpoint) { ep.Joined, ep.Sandbox, ep.Published = false, "", nil }))
}

func (t *Table) endpoint(id string) (_ Endpoint, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ep := t.doc.Endpoints[id]; ep != nil {
		return *ep, true
	}
	return Endpoint{}, false
}

func (t *Table) update(id string, change func(*Endpoint)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	ep := t.doc.Endpoints[id]
	if ep == nil {
		return unknown(id)
	}
	change(ep)
	return t.changed()
}

// changed writes the table and wakes the watchers. t.mu is held.
func (t *Table) changed() error {
	t.indexAddresses()
	t.ports.keep()
	t.changes.Notify()
	return state.Save(t.cfg.File, t.doc, false)
}

// unidentified returns the overlay endpoint of a container that is not identified yet.
// It has no egress; otherwise an `internal` container could briefly reach the outside.
func (ep *Endpoint) unidentified() overlay.Endpoint {
	return overlay.Endpoint{ID: ep.ID, Addr4: ep.Addr4, Addr6: ep.Addr6, Sandbox: ep.Sandbox, Internal: true}
}

var errUnknown = errors.New("unknown endpoint")

func unknown(id string) error { return fmt.Errorf("%w %s", errUnknown, Short(id)) }

func ignoreUnknown(err error) error {
	if errors.Is(err, errUnknown) {
		return nil
	}
	return err
}
