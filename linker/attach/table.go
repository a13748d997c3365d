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

// Interfaces makes and removes containers' interfaces: overlay.Overlay.
type Interfaces interface {
	Attach(ctx context.Context, ep overlay.Endpoint) (overlay.Interface, error)
	Detach(ctx context.Context, id string) error
}

// Sockets tells which process of the host listens on a port: HostSockets.
type Sockets interface {
	// Holder describes who holds p's host port, or is "".
	Holder(p record.PublishedPort) string
}

// Endpoint is a container's place on the overlay as Docker asked for it. What the
// container is, only Docker's events tell.
type Endpoint struct {
	ID        string                 `json:"id"` // libnetwork's
	Addr4     netip.Addr             `json:"addr4"`
	Addr6     netip.Addr             `json:"addr6,omitzero"` // ours to give, by Addr4's number
	MAC       string                 `json:"mac,omitempty"`
	Joined    bool                   `json:"joined,omitempty"`  // its interface exists
	Sandbox   string                 `json:"sandbox,omitempty"` // path of the network namespace that Docker moves it into
	Published []record.PublishedPort `json:"published,omitempty"`
	Created   time.Time              `json:"created"`
}

// Config is what a Table is made of.
type Config struct {
	File       string // where the table is kept
	Addresses  *ipam.Allocator
	Interfaces Interfaces
	Sockets    Sockets
	// Describe names the container of an endpoint for error messages, or is "".
	Describe func(id string) string
	// WithoutService reports whether an endpoint is known to belong to no service, so that
	// no other may be its replica and share its ports. Nil: none is.
	WithoutService func(id string) bool
	Log            *slog.Logger
}

// Table holds this host's endpoints. Its methods may be called at the same time.
type Table struct {
	cfg   Config
	now   func() time.Time
	fresh bool

	holders atomic.Pointer[map[netip.Addr]string] // address -> endpoint's ID; replaced with every change
	changes wake.Broadcast

	mu      sync.Mutex
	doc     document
	busy    map[string]*turn     // by endpoint ID, while an operation is under way
	missing map[string]time.Time // since when Docker does not know an endpoint
	gone    map[string]time.Time // when an endpoint was deleted, for Grace
}

type document struct {
	Network   string               `json:"network,omitempty"` // libnetwork's ID of the one network
	Endpoints map[string]*Endpoint `json:"endpoints"`
}

// Open reads the table that an earlier run left. A broken file is moved aside and
// logged: Reconcile adopts what Docker still runs.
func Open(cfg Config) (*Table, error) {
	t := &Table{
		cfg: cfg, now: time.Now,
		busy:    map[string]*turn{},
		missing: map[string]time.Time{},
		gone:    map[string]time.Time{},
	}
	err := state.Load(cfg.File, &t.doc)
	switch {
	case errors.Is(err, state.ErrBroken):
		cfg.Log.Warn("endpoints start anew", "err", err)
		t.doc = document{}
	case err != nil:
		return nil, err
	}
	if t.doc.Endpoints == nil {
		t.fresh = true
		t.doc.Endpoints = map[string]*Endpoint{}
	}
	t.indexHolders()
	return t, nil
}

// Fresh reports whether there was no table of an earlier run: before the first
// Reconcile, endpoints that it does not have may exist all the same.
func (t *Table) Fresh() bool { return t.fresh }

// Create enters an endpoint into the table and reserves its published ports: a
// HostPort of 0 becomes a free one. A port that is taken is an error that names
// the port and who holds it. Endpoints may publish the very same: which of them are
// replicas of one service is known later. An address that was not handed out to it
// is an error: it would make it pass for another container.
func (t *Table) Create(ctx context.Context, ep Endpoint) error {
	return t.alone(ctx, ep.ID, func() error {
		t.mu.Lock()
		defer t.mu.Unlock()
		ports, err := t.claimPorts(ep.ID, ep.Published)
		if err := errors.Join(t.checkAddr(&ep), err); err != nil {
			return err
		}
		ep.Addr6, ep.Published, ep.Created = t.cfg.Addresses.Sibling(ep.Addr4), ports, t.now()
		if old := t.doc.Endpoints[ep.ID]; old != nil {
			ep.Joined, ep.Sandbox, ep.Created = old.Joined, old.Sandbox, old.Created
		}
		t.doc.Endpoints[ep.ID] = &ep
		return t.changed()
	})
}

// Join makes the endpoint's interface, which Docker then moves into the network
// namespace at sandbox. Done again, it gives the same one.
func (t *Table) Join(ctx context.Context, id, sandbox string) (overlay.Interface, error) {
	var iface overlay.Interface
	err := t.alone(ctx, id, func() error {
		ep, ok := t.endpoint(id)
		if !ok {
			return unknown(id)
		}
		var err error
		ep.Sandbox = sandbox
		if iface, err = t.cfg.Interfaces.Attach(ctx, ep.wanted()); err != nil {
			return fmt.Errorf("attach endpoint %s: %w", Short(id), err)
		}
		return t.update(id, func(ep *Endpoint) { ep.Joined, ep.Sandbox = true, sandbox })
	})
	return iface, err
}

// Publish reserves ports of the host for an endpoint, besides those it has.
func (t *Table) Publish(ctx context.Context, id string, ports []record.PublishedPort) error {
	return t.alone(ctx, id, func() error {
		t.mu.Lock()
		defer t.mu.Unlock()
		ep := t.doc.Endpoints[id]
		if ep == nil {
			return unknown(id)
		}
		got, err := t.claimPorts(id, mergePorts(ep.Published, ports))
		if err != nil || slices.Equal(got, ep.Published) {
			return err
		}
		ep.Published = got
		return t.changed()
	})
}

// Unpublish gives an endpoint's ports of the host back.
func (t *Table) Unpublish(ctx context.Context, id string) error {
	return t.alone(ctx, id, func() error {
		return ignoreUnknown(t.update(id, func(ep *Endpoint) { ep.Published = nil }))
	})
}

// Leave removes the endpoint's interface. An unknown endpoint is no error.
func (t *Table) Leave(ctx context.Context, id string) error {
	return t.alone(ctx, id, func() error { return t.leave(ctx, id) })
}

// Delete removes the endpoint, and its interface if it is still there. An unknown
// endpoint is no error.
func (t *Table) Delete(ctx context.Context, id string) error {
	return t.alone(ctx, id, func() error {
		// After a Leave there is nothing to remove.
		if ep, ok := t.endpoint(id); !ok || ep.Joined {
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
		t.gone[id] = t.now()
		return t.changed()
	})
}

// Snapshot lists the endpoints by ID.
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

// Short is the form of an ID that people read.
func Short(id string) string { return id[:min(12, len(id))] }

func (t *Table) leave(ctx context.Context, id string) error {
	if err := t.cfg.Interfaces.Detach(ctx, id); err != nil {
		return fmt.Errorf("detach endpoint %s: %w", Short(id), err)
	}
	return ignoreUnknown(t.update(id, func(ep *Endpoint) { ep.Joined, ep.Sandbox = false, "" }))
}

func (t *Table) endpoint(id string) (_ Endpoint, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ep := t.doc.Endpoints[id]; ep != nil {
		return *ep, true
	}
	return Endpoint{}, false
}

// update changes one endpoint and tells whoever watches.
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
	t.indexHolders()
	t.changes.Notify()
	return state.Save(t.cfg.File, t.doc, false)
}

// turn lets one operation on an endpoint run at a time.
type turn struct {
	token chan struct{} // holds the one token of who is at work
	users int           // at work and waiting
}

// alone runs f while no other operation on the endpoint runs: Docker's next call
// may come while one that it gave up is still under way.
func (t *Table) alone(ctx context.Context, id string, f func() error) error {
	t.mu.Lock()
	my := t.busy[id]
	if my == nil {
		my = &turn{token: make(chan struct{}, 1)}
		t.busy[id] = my
	}
	my.users++
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if my.users--; my.users == 0 {
			delete(t.busy, id)
		}
	}()
	select {
	case my.token <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("endpoint %s is busy: %w", Short(id), ctx.Err())
	}
	defer func() { <-my.token }()
	return f()
}

// wanted is the interface's as long as nobody knows whose it is: without egress.
func (ep *Endpoint) wanted() overlay.Endpoint {
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
