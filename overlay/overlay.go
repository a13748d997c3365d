package overlay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"slices"
	"sync"

	"github.com/vishvananda/netns"

	"tombolo/internal/wake"
)

// Options are what an Overlay needs besides its Config.
type Options struct {
	Log *slog.Logger // nil: slog.Default()
	// Namespace is the network namespace to act in; zero is the caller's own. The
	// Overlay does not close it.
	Namespace netns.NsHandle
	// Mended, if set, is called by Run after each repeat of Set, with what that could
	// not do, or nil.
	Mended func(error)
}

// Overlay keeps the data plane of one host. Only one may act in a network
// namespace at a time. Its methods may be called from any goroutine, one at a
// time gets through.
type Overlay struct {
	log    *slog.Logger
	ns     netns.NsHandle
	mended func(error)

	mu       sync.Mutex
	config   *Config             // as last given to Set
	mtu      int                 // of containers
	outside  []string            // bridges, see outsideBridges
	attached map[string]Endpoint // by ID: attached by this Overlay, whatever the Config says
	stands   *Config             // what devices and routes matched when last looked at, with what was attached and detached since; nil: unknown
	table    table
	docker   dockerUser
	v6       map[string]sandbox6 // by ID: containers that were given IPv6, or should have been
	lacking  wake.Signal         // notified when containers may lack IPv6
	freeing  sync.WaitGroup      // of interfaces that are gone already
}

// Interface is a container's pair of virtual Ethernet devices.
type Interface struct {
	Host      string           // stays on the host
	Container string           // is to be moved into the container
	MAC       net.HardwareAddr // of the container's side
	MTU       int
}

// New makes an Overlay. It touches nothing until it is told to.
func New(o Options) *Overlay {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Mended == nil {
		o.Mended = func(error) {}
	}
	return &Overlay{
		log: o.Log, ns: o.Namespace, mended: o.Mended, attached: map[string]Endpoint{},
		v6: map[string]sandbox6{}, lacking: wake.NewSignal(),
	}
}

// Set makes the kernel match c. What stands already is left alone, whoever made
// it, so repeats and restarts cut no traffic; what is ours and not in c is
// removed. An interface stays while c or this Overlay's own Attach knows it.
//
// Set does all it can: its error joins what it could not do. See ErrNoVXLAN and
// ErrPortInUse. Where c differs from the last one in policy alone, the rest is not
// looked at: that comes with every container, and Run looks now and then.
func (o *Overlay) Set(ctx context.Context, c Config) error {
	c = c.unmapped()
	if err := c.Validate(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	repeated := o.config != nil && reflect.DeepEqual(c, *o.config)
	o.config = &c
	o.lacking.Notify()
	return inside(o.ns, func() error {
		if m := o.merged(); !repeated && o.stands != nil && sameButPolicy(m, *o.stands) {
			return errors.Join(o.setPolicy(ctx, m), o.docker.accept(ctx, o.table.foreign))
		}
		return o.set(ctx)
	})
}

func (o *Overlay) setPolicy(ctx context.Context, c Config) error {
	changed, err := o.table.apply(ctx, compile(c, o.outside...))
	if err != nil {
		return fmt.Errorf("set packet policy: %w", err)
	}
	if changed {
		o.log.Debug("packet policy changed", "endpoints", len(c.Endpoints), "peers", len(c.Peers), "allow", len(c.Allow))
	}
	return nil
}

// set has an order: nothing is reachable before its policy stands.
func (o *Overlay) set(ctx context.Context) error {
	c := o.merged()
	o.stands = nil
	if err := enableForwarding(c.Pool6.IsValid()); err != nil {
		return err
	}
	outside, err := outsideBridges(c)
	if err != nil {
		return err
	}
	o.outside = outside
	if err := o.setPolicy(ctx, c); err != nil {
		return err
	}
	device, err := ensureDevice(c, o.log)
	if err != nil {
		return err
	}
	o.mtu = device.Attrs().MTU
	veths, err := o.setVeths(c)
	err = errors.Join(err,
		setAddresses(c, device, veths),
		setNeighbours(c, device),
		setRoutes(c, device, veths),
		setLoopbackRoutes(c, device, veths),
		o.docker.accept(ctx, o.table.foreign))
	if err == nil {
		o.stands = &c
	}
	return err
}

// sameButPolicy reports whether a and b want the same devices and routes. The order
// of endpoints does not matter.
func sameButPolicy(a, b Config) bool {
	interfaces := func(c Config) map[string]Endpoint {
		out := map[string]Endpoint{}
		for _, e := range c.Endpoints {
			out[e.ID] = Endpoint{Addr4: e.Addr4, Addr6: e.Addr6}
		}
		return out
	}
	if !maps.Equal(interfaces(a), interfaces(b)) {
		return false
	}
	for _, c := range []*Config{&a, &b} {
		c.Endpoints, c.Allow, c.Blocked = nil, nil, nil
	}
	return reflect.DeepEqual(a, b)
}

// merged is the Config with the endpoints that were attached since it was made.
func (o *Overlay) merged() Config {
	c := *o.config
	all := maps.Clone(o.attached)
	for _, e := range c.Endpoints {
		all[e.ID] = e
	}
	c.Endpoints = slices.Collect(maps.Values(all))
	return c
}

// Clear removes all that is ours: interfaces, routes, policy. Containers lose
// their network. Forwarding stays switched on, others may need it by now.
func (o *Overlay) Clear(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.config, o.stands = nil, nil
	clear(o.attached)
	clear(o.v6)
	return inside(o.ns, func() error {
		return errors.Join(removeLinks(), removeRoutes(), o.docker.remove(ctx), o.table.remove(ctx))
	})
}
