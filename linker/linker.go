package linker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tombolo/dns"
	"tombolo/internal/unixhttp"
	"tombolo/linker/api"
	"tombolo/linker/attach"
	"tombolo/linker/catalog"
	"tombolo/linker/docker"
	"tombolo/linker/gossip"
	"tombolo/linker/ipam"
	"tombolo/linker/plugin"
	"tombolo/overlay"
)

// DataPlane is what the linker has the kernel do: overlay.Overlay.
type DataPlane interface {
	Set(ctx context.Context, c overlay.Config) error
	Run(ctx context.Context) error // keeps what Set made
	Counters() (map[string]uint64, error)
	attach.Interfaces
}

// Linker is the sidecar of one host. Make one with New.
type Linker struct {
	cfg     Config
	log     *slog.Logger
	started time.Time

	saved     *saved
	catalog   *catalog.Catalog
	gossip    *gossip.Gossip
	members   *members
	addresses *ipam.Allocator
	table     *attach.Table
	docker    *docker.Engine
	plane     DataPlane
	checkPool func(pools ...netip.Prefix) error
	plugin    *plugin.Server
	dns       *dns.Server
	zone      dns.Zone
	dnsPort   uint16 // 53, unless another program holds that
	api       *api.Server
	worlds    *worlds

	problems problems
	claimed  atomic.Pointer[claim] // this host's block, once it is settled
	block    chan struct{}         // holds a token after claimed changed
	adopted  chan struct{}         // closed once the table holds what an earlier run made
	isSet    chan struct{}         // closed once the kernel matched for the first time
	setOnce  sync.Once
	ended    chan struct{} // closed when Run's group is ending
}

// New makes a linker that acts once Run is called. It reports every problem of cfg.
func New(cfg Config) (*Linker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l := &Linker{
		cfg: cfg, log: cfg.Log, started: time.Now(), checkPool: overlay.CheckPool,
		block:   make(chan struct{}, 1), // one token stands for any number of changes
		adopted: make(chan struct{}),
		isSet:   make(chan struct{}),
		ended:   make(chan struct{}),
	}
	l.plane = overlay.New(overlay.Options{Log: cfg.Log, Repaired: l.mended})
	return l, nil
}

// Run links this host until ctx ends, and then tells the peers that it may be
// back; containers stay as they are. It returns an error when something is wrong
// that waiting does not mend: no root, no VXLAN, a pool that overlaps the host's
// own routes, another linker. It may be called once.
func (l *Linker) Run(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("the linker needs root: it makes network interfaces")
	}
	held, err := lock(l.cfg.StateDir)
	if err != nil {
		return fmt.Errorf("linker: %w", err)
	}
	defer held.Close()
	if err := l.assemble(ctx); err != nil {
		return fmt.Errorf("linker: %w", err)
	}
	listener, err := unixhttp.Listen(ctx, l.cfg.APISocket(), api.SocketMode)
	if err != nil {
		return fmt.Errorf("linker: %w", err)
	}
	l.log.Info("linker starts", "host", l.cfg.Host, "underlay", l.cfg.Underlay, "version", l.cfg.Version)
	group, ctx := errgroup.WithContext(ctx)
	for name, run := range map[string]func(context.Context) error{
		"gossip":   l.runGossip,
		"members":  l.members.run,
		"spread":   l.spread,
		"memory":   l.remember,
		"sweep":    l.sweep,
		"block":    l.own,
		"docker":   l.docker.Run,
		"plugin":   l.plugin.Run,
		"identity": l.identify,
		"overlay":  l.converge,
		"plane":    l.plane.Run,
		"pool":     l.watchPool,
		"dns":      l.dns.Run,
		"api":      func(ctx context.Context) error { return l.api.Serve(ctx, listener) },
	} {
		group.Go(func() error {
			if err := run(ctx); err != nil {
				return fmt.Errorf("linker: %s: %w", name, err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		close(l.ended)
		return nil
	})
	return group.Wait()
}

// assemble makes the parts, from the state of an earlier run where there is one.
func (l *Linker) assemble(ctx context.Context) error {
	cfg := l.cfg
	if err := overlay.CheckVXLAN(); err != nil {
		return err
	}
	if err := l.checkPool(cfg.Pool4, cfg.Pool6); err != nil {
		if errors.Is(err, overlay.ErrPoolOverlap) {
			return fmt.Errorf("%w: choose another with --pool or --pool6", err)
		}
		return err
	}
	if err := writeResolvConf(cfg.ResolvConf); err != nil {
		return err
	}
	var err error
	if l.saved, err = loadSaved(cfg); err != nil {
		return err
	}
	l.catalog = catalog.New(cfg.Host, l.saved.get().Epoch)
	l.worlds = &worlds{l: l}
	l.members = newMembers(l)
	if err := l.recall(); err != nil {
		return err
	}
	if l.addresses, err = ipam.Open(filepath.Join(cfg.StateDir, "addresses.json"), cfg.Log); err != nil {
		return err
	}
	l.table, err = attach.Open(attach.Config{
		File: filepath.Join(cfg.StateDir, "endpoints.json"), Addresses: l.addresses,
		Interfaces: interfaces{l}, Sockets: attach.HostSockets{}, Describe: l.describe, WithoutService: l.private, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	l.gossip, err = gossip.New(gossip.Config{
		Name: cfg.Host, Bind: netip.AddrPortFrom(cfg.Underlay, cfg.GossipPort), Keys: cfg.Keys,
		Seeds: cfg.Join, Known: l.saved.get().Members, Log: cfg.Log,
	}, catalog.GossipDelegate{Catalog: l.catalog}, l.members)
	if err != nil {
		return err
	}
	l.api = api.NewServer(api.Config{Catalog: l.catalog, Apps: service{l}, Host: service{l}, Log: l.log})
	return errors.Join(l.assembleDocker(), l.assembleDNS(ctx))
}

func (l *Linker) assembleDocker() error {
	cfg := l.cfg
	l.plugin = plugin.New(plugin.Config{
		Socket: filepath.Join(cfg.PluginDir, Driver+".sock"), Pool4: cfg.Pool4,
		Addresses: l.table, Networks: l.table, Endpoints: l.table, Log: cfg.Log,
	})
	var err error
	l.docker, err = docker.New(docker.Config{
		Host: cfg.Docker, Network: docker.Network{Name: Network, Driver: Driver, Subnet: cfg.Pool4},
		NetworkGone: l.forgetNetwork, Log: cfg.Log,
	})
	return err
}

func (l *Linker) forgetNetwork() {
	if err := l.table.DeleteNetwork(l.table.Network()); err != nil {
		l.log.Warn("cannot forget the network", "err", err)
	}
}

func (l *Linker) assembleDNS(ctx context.Context) error {
	sockets, err := l.dnsSockets(ctx)
	if err != nil {
		return err
	}
	l.dnsPort = sockets.Addr().Port()
	if l.dnsPort != dnsAddr.Port() {
		l.log.Warn("another program holds port 53: containers are led elsewhere", "addr", sockets.Addr())
	}
	l.zone = dns.Zone{Name: Zone, Pools: []netip.Prefix{l.cfg.Pool4}}
	if l.cfg.Pool6.IsValid() {
		l.zone.Pools = append(l.zone.Pools, l.cfg.Pool6)
	}
	l.dns = dns.New(dns.Config{
		Sockets: []*dns.Sockets{sockets}, Zone: l.zone, Viewer: l.worlds,
		Upstream: dns.NewForwarder(dns.ForwarderConfig{Own: []netip.Addr{overlay.Gateway4}}),
	})
	return nil
}

// dnsAddr is where containers ask.
var dnsAddr = netip.AddrPortFrom(overlay.Gateway4, 53)

// ListenDNS opens the sockets on which a linker answers, for whoever keeps them
// open over its restarts: questions then wait for it instead of being refused. It
// takes up those that were kept of an earlier call, and closes what is of no use.
func ListenDNS(ctx context.Context, kept []*os.File) ([]*os.File, error) {
	sockets, err := dns.FromFiles(kept)
	if err != nil {
		if sockets, err = dns.Listen(ctx, dnsAddr); err != nil {
			return nil, err
		}
	}
	defer sockets.Close() // the files are duplicates
	return sockets.Files()
}

func (l *Linker) dnsSockets(ctx context.Context) (*dns.Sockets, error) {
	if len(l.cfg.DNSFiles) > 0 {
		return dns.FromFiles(l.cfg.DNSFiles)
	}
	return dns.Listen(ctx, dnsAddr)
}

// runGossip outlives the other parts for the moment that it takes to say that this
// linker may be back.
func (l *Linker) runGossip(ctx context.Context) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var goodbye sync.WaitGroup
	goodbye.Go(func() {
		defer stop()
		select {
		case <-ctx.Done():
		case <-run.Done():
			return // gossip ended by itself
		}
		if c := l.claimed.Load(); c != nil {
			if err := l.announce(*c, time.Now().Add(l.cfg.RestartWindow).UTC().Truncate(time.Second)); err != nil {
				l.log.Warn("cannot announce the restart", "err", err)
			}
			l.sendOutbox() // spread may have ended
		}
	})
	err := l.gossip.Run(run)
	stop()
	goodbye.Wait()
	return err
}
