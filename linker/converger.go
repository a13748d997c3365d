package linker

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"tombolo/linker/attach"
	"tombolo/linker/block"
	"tombolo/linker/hostport"
	"tombolo/linker/problem"
	"tombolo/linker/record"
	"tombolo/overlay"
	"tombolo/overlay/firewall"
)

// converger makes the kernel match the effective catalog and the table of endpoints.
type converger struct {
	plane interface {
		Set(context.Context, overlay.Config) error
	}
	base      overlay.Config // see compile
	effective *effectiveCache
	table     endpoints
	sockets   portSockets
	problems  *problem.Set
	paths     knownMTUs
	portTaken bool // another process holds an ingress port
	revoked   revocations
	adopted   latch // opened once the table holds the endpoints of the last run
	matched   latch // the converger opens it when the kernel matches for the first time
	// appliedNow is told of each snapshot of the catalog that the kernel matches.
	appliedNow func(*record.Snapshot)
}

// portSockets hold the published ports and serve them at ::1: hostport.Ports.
type portSockets interface {
	Ingress(ports map[hostport.Port]string) (taken map[hostport.Port]string)
	Lead(to map[hostport.Port][]netip.AddrPort)
}

// endpoints are this host's: attach.Table.
type endpoints interface {
	Snapshot() []attach.Endpoint
	Watch() (changes <-chan struct{}, cancel func())
}

// retryAfter is the pause between attempts to make the kernel match. Once the kernel
// matches, the data plane keeps it so.
const retryAfter = time.Second

// portRetryAfter is the pause until the next attempt to serve an ingress port that another
// process holds.
const portRetryAfter = 5 * time.Second

// run applies every change until ctx ends. Changes that come while it works count as
// one. It returns an error if the kernel can never match.
func (c *converger) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-c.adopted.opened: // before that, interfaces in use would be removed as leftovers
	}
	fromCatalog, stop := c.effective.host.catalog.Watch()
	defer stop()
	fromTable, stop := c.table.Watch()
	defer stop()
	fromBlock, stop := c.effective.block.Watch()
	defer stop()
	fromPaths, stop := c.paths.Watch()
	defer stop()
	var applied *overlay.Config // nil: the kernel may match no Config
	for {
		var err error
		if applied, err = c.apply(ctx, applied); ctx.Err() != nil {
			return nil
		} else if errors.Is(err, overlay.ErrNoVXLAN) || errors.Is(err, overlay.ErrPortInUse) {
			return err
		}
		var retry <-chan time.Time
		if applied == nil {
			retry = time.After(retryAfter)
		} else if wait, ok := c.revoked.next(time.Now()); ok {
			retry = time.After(wait)
		}
		var ports <-chan time.Time
		if c.portTaken {
			ports = time.After(portRetryAfter)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-fromCatalog:
		case <-fromTable:
		case <-fromBlock:
		case <-fromPaths:
		case <-retry:
		case <-ports:
		}
	}
}

// apply makes the kernel match as of now, unless it matches already, and returns the
// Config that it then matches. It does nothing while this host has no block.
func (c *converger) apply(ctx context.Context, applied *overlay.Config) (*overlay.Config, error) {
	e := c.effective.get()
	if e.claim == nil {
		return applied, nil
	}
	endpoints := c.table.Snapshot()
	ingress, clash := ingressPorts(e, endpoints)
	ingress, held := c.held(ingress)
	c.portTaken = held != nil
	want, conflict := compile(c.base, e, endpoints, ingress)
	want.Peers = withMTUs(want.Peers, c.paths.MTUs())
	want.Revoked = c.revoked.update(e, time.Now())
	c.sockets.Lead(leads(want.Publish))
	c.problems.Report(problem.PortConflict, errors.Join(conflict, clash, held))
	c.problems.Report(problem.PoolDiffers, e.excluded)
	c.problems.Report(problem.ServiceWithoutAddress, e.unaddressed)
	c.problems.Report(problem.AddressMisplaced, e.misplaced)
	if applied != nil && reflect.DeepEqual(want, *applied) { // as after most changes of the catalog
		c.appliedNow(e.source)
		return applied, nil
	}
	err := c.plane.Set(ctx, want)
	if ctx.Err() != nil {
		return nil, err
	}
	c.problems.Report(problem.OverlayIncomplete, err)
	if err != nil {
		return nil, err
	}
	c.matched.open()
	c.appliedNow(e.source)
	return &want, nil
}

// compile returns the whole wanted state of this host's data plane; base has the parts
// that never change. The error names the published ports that it leaves out.
func compile(base overlay.Config, e *effectiveCatalog, endpoints []attach.Endpoint, ingress []ingressPort) (overlay.Config, error) {
	cfg := base
	cfg.Self, cfg.Pool6, cfg.Peers = peer(e.self), e.pool6, e.peers
	cfg.Self.MTU = 0 // it follows from the device
	for _, ep := range endpoints {
		if !ep.Joined {
			continue
		}
		open, _ := e.Outside(e.localKey(ep.ID))
		cfg.Endpoints = append(cfg.Endpoints, overlay.Endpoint{
			ID: ep.ID, Addr4: ep.Addr4, Addr6: ep.Addr6, Sandbox: ep.Sandbox, Internal: !open,
		})
	}
	for _, g := range e.Groups(e.self.Key()) {
		cfg.Groups = append(cfg.Groups, overlay.Group{Name: g.Reason, From: addresses(g.From), To: addresses(g.To), Ports: hostPorts(g.Ports)})
	}
	cfg.ServicePool4, cfg.ServicePool6 = block.ServiceRange4(cfg.Pool4), block.ServiceRange6(e.pool6)
	for _, s := range e.services {
		cfg.Services = append(cfg.Services, s.targets()...)
	}
	var conflict error
	cfg.Publish, conflict = publications(endpoints, e)
	cfg.Publish = publishIngress(cfg.Publish, ingress, e)
	if len(cfg.Publish) > 0 {
		cfg.Internal = e.addressesElsewhere(func(key string) bool { open, _ := e.Outside(key); return !open })
	}
	cfg.Suspended = e.addressesElsewhere(func(key string) bool { lost, replaced := e.Lost(key); return lost && !replaced })
	cfg.Superseded = e.addressesElsewhere(func(key string) bool { _, replaced := e.Lost(key); return replaced })
	return cfg, conflict
}

// addresses returns the addresses of endpoints, of both families, sorted.
func addresses(endpoints []*record.Endpoint) []netip.Addr {
	out := make([]netip.Addr, 0, 2*len(endpoints))
	for _, ep := range endpoints {
		for _, addr := range []netip.Addr{ep.Addr4, ep.Addr6} {
			if addr.IsValid() {
				out = append(out, addr)
			}
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// blockedPorts are the ports that containers may not reach outside of the pool: the
// linker's own, and those of the control planes that run on the machines (--blocked-ports).
func blockedPorts(cfg Config) []overlay.HostPort {
	ports := []overlay.HostPort{
		{Port: cfg.GossipPort, Proto: "tcp"}, {Port: cfg.GossipPort, Proto: "udp"}, {Port: cfg.VXLANPort, Proto: "udp"},
		{Port: 7981, Proto: "tcp"}, {Port: 7982, Proto: "tcp"}, {Port: 7983, Proto: "tcp"},
	}
	for _, p := range cfg.BlockedPorts {
		ports = append(ports, overlay.HostPort{Port: p, Proto: "tcp"})
	}
	if metrics, err := net.ResolveTCPAddr("tcp", cfg.Metrics); cfg.Metrics != "" && err == nil { // Validate refuses an address that is none
		ports = append(ports, overlay.HostPort{Port: metrics.AddrPort().Port(), Proto: "tcp"})
	}
	return ports
}

// peeringPorts are the ports at which the linkers talk to each other, which the host's own firewall has
// to let through.
func peeringPorts(cfg Config) []overlay.HostPort {
	return []overlay.HostPort{{Port: cfg.GossipPort, Proto: "tcp"}, {Port: cfg.GossipPort, Proto: "udp"}}
}

// firewallError names the places where the host's own firewall drops packets of the overlay, and no
// rules of ours can stand before them; nil if there are none.
func firewallError(findings []firewall.Finding) error {
	var errs []error
	for _, f := range findings {
		if !f.Mended {
			errs = append(errs, problem.Found{Subject: f.Place(), Reason: f.What() + ": " + f.Reason, Remedy: f.Remedy})
		}
	}
	return errors.Join(errs...)
}

// gate lets the plugin make interfaces once the kernel has matched for the first time.
// A container that starts earlier waits, as long as Docker's call may take.
type gate struct {
	attach.Interfaces
	matched  latch
	problems *problem.Set
}

func (g gate) Attach(ctx context.Context, ep overlay.Endpoint) (overlay.Interface, error) {
	select {
	case <-g.matched.opened:
		return g.Interfaces.Attach(ctx, ep)
	case <-ctx.Done():
	}
	why := "it is being set up"
	if problems := g.problems.List(); problem.AnyOutage(problems) {
		why = problems[0].String()
	}
	return overlay.Interface{}, errors.New("the overlay of this host is not ready: " + why + " (see: tombolo linker status)")
}
