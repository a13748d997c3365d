package linker

import (
	"context"
	"net/netip"
	"path/filepath"
	"time"

	"tombolo/dns"
	"tombolo/internal/scrape"
	"tombolo/internal/unixhttp"
	"tombolo/linker/api"
	"tombolo/linker/attach"
	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/docker"
	"tombolo/linker/gossip"
	"tombolo/linker/hostport"
	"tombolo/linker/inspect"
	"tombolo/linker/ipam"
	"tombolo/linker/metrics"
	"tombolo/linker/plugin"
	"tombolo/linker/problem"
	"tombolo/linker/record"
	"tombolo/linker/vip"
	"tombolo/overlay"
)

// assemble makes the parts, from the state of the last run if there is one, and returns
// the tasks to run. A part may use the parts made before it.
func (l *Linker) assemble(ctx context.Context) ([]task, error) {
	for _, step := range []func() error{
		overlay.CheckVXLAN, l.writeResolvConf, l.assembleCluster, l.checkPool, l.assembleContainers,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	l.block = l.newBlock()
	vips, err := vip.Open(vip.Config{
		File:   filepath.Join(l.cfg.StateDir, "services.json"),
		Range4: block.ServiceRange4(l.cfg.Pool4), Range6: block.ServiceRange6(l.cfg.Pool6), Log: l.cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	l.effective = &effectiveCache{host: l.host, block: l.block, pool4: l.cfg.Pool4, pool6: l.cfg.Pool6, vips: vips}
	if l.prober, err = l.newProber(); err != nil {
		return nil, err
	}
	serving, err := l.assembleServers(ctx)
	if err != nil {
		return nil, err
	}
	return append([]task{
		{"gossip", func(ctx context.Context) error { return outlive(ctx, l.gossip.Run, l.announceRestart) }},
		{"suspender", l.newSuspender().run},
		{"identity", l.identity().run},
		{"broadcaster", l.broadcast.run},
		{"catalog file", l.file.run},
		{"tombstones", func(ctx context.Context) error { return collectTombstones(ctx, l.catalog) }},
		{"limits", (&limits{parts: []refuser{l.catalog, l.gossip}, problems: l.problems}).run},
		{"block", l.block.Run},
		{"docker", l.docker.Run},
		{"plugin", l.plugin.Run},
		{"identifier", l.newIdentifier().run},
		{"data plane", l.plane.Run},
		{"host ports", func(ctx context.Context) error {
			return l.hostPorts.Run(ctx, func(err error) { l.problems.Report(problem.PortNotHeld, err) })
		}},
		{"pool check", l.pools.run},
		{"contests", l.contests.run},
		{"prober", l.prober.Run},
		{"look-ups", l.newLookUps().run},
		{"lag", l.lag.run},
		{"host facts", (&selfReporter{host: l.host, block: l.block, plane: l.plane, problems: l.problems, matched: l.matched}).run},
	}, serving...), nil
}

// checkPool refuses a pool that overlaps a route of this host, unless this host has a block of the
// pool from an earlier run: its containers depend on the linker, which reports the route then.
func (l *Linker) checkPool() error {
	if block.Within(l.state.get().Block4, l.cfg.Pool4) {
		return nil
	}
	return l.pools.once()
}

func (l *Linker) assembleCluster() error {
	cfg := l.cfg
	var err error
	if l.state, err = openState(cfg, l.problems); err != nil {
		return err
	}
	last := l.state.get()
	l.catalog = catalog.New(last.Identity, last.Epoch)
	l.file = catalogFile{path: catalogPath(cfg.StateDir), catalog: l.catalog, problems: l.problems}
	if err := l.file.load(cfg.Log); err != nil {
		return err
	}
	for _, host := range last.Suspended {
		l.catalog.Suspend(host)
	}
	l.host = thisHost{id: last.Identity, name: cfg.Host, version: cfg.Version, underlay: cfg.Underlay, catalog: l.catalog, facts: &hostFacts{}}
	l.gossip, err = gossip.New(gossip.Config{
		Name: last.Identity, Bind: netip.AddrPortFrom(cfg.Underlay, cfg.GossipPort), Keys: cfg.Keys,
		Seeds: cfg.Join, Known: last.Members, Log: cfg.Log,
		Note: l.take,
	}, l.catalog)
	l.lag = newLag(last.Identity, l.gossip, l.catalog)
	l.names = nameConflicts{self: last.Identity, gossip: l.gossip, catalog: l.catalog, problems: l.problems}
	l.broadcast = broadcaster{catalog: l.catalog, gossip: l.gossip, state: l.state}
	return err
}

// take takes a note of another host for the part that it is for.
func (l *Linker) take(from string, body []byte) error {
	if isLagNote(body) {
		return l.lag.take(from, body)
	}
	return l.prober.Note(from, body)
}

func (l *Linker) assembleContainers() error {
	cfg := l.cfg
	l.adopted, l.matched = newLatch(), newLatch()
	var err error
	if l.addresses, err = ipam.Open(filepath.Join(cfg.StateDir, "addresses.json"), cfg.Log); err != nil {
		return err
	}
	l.hostPorts = hostport.New(cfg.Log)
	l.table, err = attach.Open(attach.Config{
		File: endpointsFile(cfg.StateDir), Addresses: l.addresses,
		Interfaces: gate{l.plane, l.matched, l.problems}, Sockets: l.hostPorts,
		Describe: l.describeEndpoint, WithoutService: l.withoutService, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	l.plugin = plugin.New(plugin.Config{
		Socket: cfg.pluginSocket(), Pool4: cfg.Pool4, Table: l.table, Log: cfg.Log,
		EngineVersion: func() string { return l.docker.Snapshot().Version },
	})
	l.docker, err = docker.New(docker.Config{
		Host: cfg.Docker, Network: docker.Network{Name: Network, Driver: Driver, Subnet: cfg.Pool4},
		NetworkGone: l.forgetNetwork, Log: cfg.Log,
	})
	return err
}

// describeEndpoint names the container of an endpoint's ID for people; "" if it is not identified.
func (l *Linker) describeEndpoint(endpoint string) string {
	if ep := l.localEndpoint(endpoint); ep != nil {
		return describe(ep)
	}
	return ""
}

// localEndpoint returns the record of this host's endpoint with an ID, or nil.
func (l *Linker) localEndpoint(id string) *record.Endpoint {
	return l.catalog.Snapshot().Endpoints[record.EndpointKey(l.host.id, id)]
}

// withoutService reports whether an endpoint's container is known to belong to no service.
func (l *Linker) withoutService(endpoint string) bool {
	ep := l.localEndpoint(endpoint)
	return ep != nil && ep.App == ""
}

func (l *Linker) forgetNetwork() {
	if err := l.table.DeleteNetwork(l.table.Network()); err != nil {
		l.cfg.Log.Warn("cannot forget the Docker network", "err", err)
	}
}

func (l *Linker) newSuspender() *suspender {
	return &suspender{
		self: l.host.id, gossip: l.gossip, catalog: l.catalog, state: l.state,
		names: l.names, times: &l.times, log: l.cfg.Log,
		met: map[string]gossip.Member{}, silent: map[string]time.Time{},
	}
}

func (l *Linker) newIdentifier() *identifier {
	return &identifier{
		host: l.host.id, docker: l.docker, table: l.table, catalog: l.catalog,
		blockKnown: l.addresses.Ready(), adopted: l.adopted, problems: l.problems,
	}
}

// assembleServers makes the parts that containers, the kernel and the framework see.
func (l *Linker) assembleServers(ctx context.Context) ([]task, error) {
	cfg := l.cfg
	sockets, err := dnsSockets(ctx, cfg.DNSFiles)
	if err != nil {
		return nil, err
	}
	if sockets.Addr().Port() != dnsAddr.Port() {
		cfg.Log.Warn("another program holds port 53: the kernel redirects the containers' queries", "addr", sockets.Addr())
	}
	zone := dns.Zone{Name: Zone, Pools: []netip.Prefix{cfg.Pool4}}
	if cfg.Pool6.IsValid() {
		zone.Pools = append(zone.Pools, cfg.Pool6)
	}
	server := dns.New(dns.Config{
		Sockets: []*dns.Sockets{sockets}, Zone: zone, Viewer: viewer{l.table, l.effective},
		Upstream: dns.NewForwarder(dns.ForwarderConfig{Own: []netip.Addr{overlay.Gateway4}}),
	})
	kernel := &converger{
		plane: l.plane, effective: l.effective, table: l.table, sockets: l.hostPorts, problems: l.problems, adopted: l.adopted, matched: l.matched, paths: l.prober, appliedNow: l.lag.nowApplied,
		base: overlay.Config{
			Pool4: cfg.Pool4, VNI: cfg.VNI, Port: cfg.VXLANPort, DNSPort: sockets.Addr().Port(), Blocked: blockedPorts(cfg), Peering: peeringPorts(cfg),
		},
	}
	listener, err := unixhttp.Listen(ctx, cfg.APISocket(), api.SocketMode)
	if err != nil {
		return nil, err
	}
	host := apiHost{
		version: cfg.Version, started: l.started, effective: l.effective, zone: zone, gossip: l.gossip, docker: l.docker,
		matched: l.matched, problems: l.problems,
		counters: counters{gossip: l.gossip, catalog: l.catalog, dns: server, plugin: l.plugin, addresses: l.addresses, plane: l.plane, log: cfg.Log},
	}
	apiServer := api.NewServer(api.Config{
		Catalog: l.catalog, Host: host, Cluster: clusterHosts{self: l.host, catalog: l.catalog, gossip: l.gossip, times: &l.times},
		Engine: apiEngine{l.docker}, Volumes: apiEngine{l.docker}, Inspector: inspector{l.effective, l.table, inspect.Look}, Log: cfg.Log,
	})
	return []task{
		{"overlay", kernel.run},
		{"dns", server.Run},
		{"api", func(ctx context.Context) error { return apiServer.Serve(ctx, listener) }},
		{"metrics", scrape.Server{
			Addr: cfg.Metrics, Collector: metrics.New(metricsSource{host, l.catalog}, l.lag.seconds, l.lag.incomplete), Log: cfg.Log,
			Report: func(err error) { l.problems.Report(problem.MetricsUnavailable, err) },
		}.Run},
	}, nil
}
