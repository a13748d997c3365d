package overlay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netns"

	"tombolo/internal/wake"
	"tombolo/overlay/firewall"
)

// Options are the settings of an Overlay that do not change while it runs.
type Options struct {
	Log *slog.Logger // nil means slog.Default()
	// Namespace is the network namespace to configure. Zero means the namespace of the
	// process. The Overlay does not close it.
	Namespace netns.NsHandle
	// Repaired is called after each Set that Run repeats, with the error of that Set, or
	// nil if the kernel matches the Config again. A nil function is not called.
	Repaired func(error)
	// Undone is called with the things that another program had changed and that this Overlay
	// has put right. A nil function is not called.
	Undone func([]Repair)
	// Incomplete is called whenever Run has looked for containers to equip. It gets the
	// reason for each endpoint, by ID, that lacks IPv6 or whose address 127.0.0.11 is not the
	// linker's. A nil function is not called.
	Incomplete func(map[string]error)
	// Firewall is called whenever the host's own firewall was looked at, with what it drops. A nil
	// function is not called.
	Firewall func([]firewall.Finding)
}

// Overlay configures the data plane of one host. A network namespace may have only one
// Overlay at a time. Its methods may be called from any goroutine; they exclude each other.
type Overlay struct {
	log        *slog.Logger
	ns         netns.NsHandle
	repaired   func(error)
	undone     func([]Repair)
	incomplete func(map[string]error)

	mu         sync.Mutex
	want       desired
	mtu        int      // of the containers' interfaces; zero before the VXLAN device exists
	outside    []string // bridges, see outsideBridges
	addresses  []netip.Addr
	table      table
	packets    *packetBook // of the table
	firewall   hostFirewall
	sandboxes  sandboxes
	lastRepair string
	watched    atomic.Pointer[Config] // want.config, for readers without the lock
	repairs    repairCounts
	advertised []string        // interfaces with routes from router advertisements
	left       []string        // sandboxes that endpoints have left since Run looked last
	cut        map[string]bool // Revocations whose connections were deleted, by key

	toEquip   wake.Signal    // notified when a container may have to be equipped
	disturbed wake.Signal    // notified when another program may have changed devices, routes and so on
	moved     wake.Signal    // notified when a published port leads elsewhere
	deleting  sync.WaitGroup // counts deletions of interfaces that the kernel has yet to finish
}

// Interface is a container's pair of virtual Ethernet devices.
type Interface struct {
	Host      string           // name of the side that stays on the host
	Container string           // name of the side to move into the container
	MAC       net.HardwareAddr // of the container's side
	MTU       int
}

// New returns an Overlay. It does not touch the kernel.
func New(o Options) *Overlay {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Repaired == nil {
		o.Repaired = func(error) {}
	}
	if o.Undone == nil {
		o.Undone = func([]Repair) {}
	}
	if o.Incomplete == nil {
		o.Incomplete = func(map[string]error) {}
	}
	if o.Firewall == nil {
		o.Firewall = func([]firewall.Finding) {}
	}
	packets := &packetBook{}
	return &Overlay{
		table: table{packets: packets}, packets: packets,
		firewall: hostFirewall{Firewall: firewall.New(o.Log), report: o.Firewall},
		log:      o.Log, ns: o.Namespace, repaired: o.Repaired, undone: o.Undone, incomplete: o.Incomplete,
		want: newDesired(), sandboxes: sandboxes{}, cut: map[string]bool{},
		toEquip: wake.NewSignal(), disturbed: wake.NewSignal(), moved: wake.NewSignal(),
	}
}

// Set makes the kernel match c. It leaves alone what matches already, also when another
// process made it, so repeats and restarts interrupt no traffic. It removes everything of
// ours that is not in c, but keeps an interface that this Overlay has attached.
//
// Set does as much as it can: its error joins everything that failed. See ErrNoVXLAN and
// ErrPortInUse. When c differs from the last Config in policy alone, Set does not check
// devices and routes, because policy changes with every container. Run checks them.
func (o *Overlay) Set(ctx context.Context, c Config) error {
	c = c.unmapped()
	if err := c.Validate(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	repeated := o.want.config != nil && reflect.DeepEqual(c, *o.want.config)
	o.want.config = &c
	o.watched.Store(&c)
	o.toEquip.Notify()
	return inside(o.ns, func() error {
		if !repeated && o.want.onlyPolicyDiffers() {
			err := o.setPolicy(ctx, o.want.merged())
			o.ensureFirewall(ctx, c)
			return err
		}
		return o.setAll(ctx)
	})
}

// MTU returns the size, in bytes, of the largest IP packet that the VXLAN device carries. It
// is zero before the first Set.
func (o *Overlay) MTU() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mtu
}

// Addresses returns the other addresses of this host, see Peer.Addresses, as the last Set or
// repair has found them. Run looks when they change.
func (o *Overlay) Addresses() []netip.Addr {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.addresses
}

// pools returns the pools of the last Config.
func (o *Overlay) pools() []netip.Prefix {
	c := o.watched.Load()
	if c == nil {
		return nil
	}
	return []netip.Prefix{c.Pool4, c.Pool6}
}

func (o *Overlay) setPolicy(ctx context.Context, c Config) error {
	changed, err := o.table.apply(ctx, compile(c, o.outside...))
	if o.table.stray.pending() {
		o.moved.Notify()
	}
	if err != nil {
		return fmt.Errorf("set packet policy: %w", err)
	}
	if o.table.damaged {
		o.noteRepairs(changes{{KindPolicy, "inet " + tableName}})
	}
	if changed {
		o.log.Debug("packet policy changed", "endpoints", len(c.Endpoints), "peers", len(c.Peers), "groups", len(c.Groups))
	}
	return o.cutRevoked(c)
}

// setAll makes the whole kernel match the desired state. It sets the policy first, so that nothing
// is reachable without it.
func (o *Overlay) setAll(ctx context.Context) error {
	return o.match(func(m *match) error {
		if err := m.setHostSysctls(); err != nil {
			return err
		}
		outside, err := outsideBridges(m.c)
		if err != nil {
			return err
		}
		o.outside, m.outside = outside, outside
		if err := o.setPolicy(ctx, m.c); err != nil {
			return err
		}
		err = m.run()
		o.ensureFirewall(ctx, m.c)
		return err
	})
}

// match calls f with a comparison, notes its result, and counts what it changed if the kernel has
// matched the desired state before.
func (o *Overlay) match(f func(*match) error) error {
	m := &match{c: o.want.merged(), log: o.log, mtu: o.mtu, table: &o.table, outside: o.outside}
	undone := o.want.wasApplied()
	err := f(m)
	if m.device != nil {
		o.mtu, o.advertised, o.addresses = m.device.Attrs().MTU, m.advertised, m.addresses
	}
	if undone {
		o.noteRepairs(m.done)
	}
	if o.want.stale = err != nil; err == nil {
		o.want.applied = &m.c
	}
	return err
}

func (o *Overlay) noteRepairs(done changes) {
	if len(done) == 0 {
		return
	}
	o.repairs.add(done)
	o.log.Info("another program changed the data plane; put right", "what", done.String())
	o.undone(done)
}

// Clear removes everything that is ours: interfaces, routes and policy, also in the containers of
// the last Config and in those whose network namespaces have the paths formerly: an Overlay of the
// past may have equipped them. Containers lose their network. Forwarding stays on, because other programs may rely on it by now.
func (o *Overlay) Clear(ctx context.Context, formerly ...string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	sandboxes := o.sandboxPaths()
	for _, path := range formerly {
		sandboxes[path] = true
	}
	o.want = newDesired()
	o.watched.Store(nil)
	clear(o.sandboxes)
	for path := range sandboxes {
		o.release(path)
	}
	return inside(o.ns, func() error {
		return errors.Join(deleteLinks(), removeRoutes(), o.firewall.remove(ctx), o.table.remove(ctx))
	})
}
