package linker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tombolo/linker/attach"
	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/docker"
	"tombolo/linker/gossip"
	"tombolo/linker/hostport"
	"tombolo/linker/ipam"
	"tombolo/linker/plugin"
	"tombolo/linker/probe"
	"tombolo/linker/problem"
	"tombolo/overlay"
	"tombolo/overlay/firewall"
)

// dataPlane is the part of the kernel that the linker controls: overlay.Overlay.
type dataPlane interface {
	Set(ctx context.Context, c overlay.Config) error
	Run(ctx context.Context) error // keeps what Set made
	Counters() (map[string]uint64, error)
	MTU() int                // of the VXLAN device, in bytes; 0: there is none yet
	Addresses() []netip.Addr // of this host, beside its underlay address
	attach.Interfaces
}

// Linker is the linker of one host. Make one with New.
type Linker struct {
	cfg      Config
	started  time.Time
	problems *problem.Set
	contests *contests
	plane    dataPlane
	pools    poolCheck

	// Made by assemble, when Run begins.
	cluster
	containers
	block     *block.Keeper
	effective *effectiveCache
	prober    *probe.Prober
}

// cluster has the parts that know all hosts.
type cluster struct {
	state     *stateFile
	host      thisHost
	catalog   *catalog.Catalog
	file      catalogFile
	gossip    *gossip.Gossip
	names     nameConflicts
	times     hostTimes
	broadcast broadcaster
	lag       *lag
}

// containers has the parts that know this host's containers.
type containers struct {
	addresses *ipam.Allocator
	hostPorts *hostport.Ports
	table     *attach.Table
	docker    *docker.Engine
	plugin    *plugin.Server
	adopted   latch // the table holds the endpoints of the last run
	matched   latch // the kernel has matched once
}

// task is a part that runs as long as the linker does.
type task struct {
	name string // stands before the errors of run
	run  func(context.Context) error
}

// latch tells any number of goroutines that something has happened once and for all.
type latch struct {
	opened chan struct{} // closed by open
	open   func()        // may be called more than once
}

func newLatch() latch {
	opened := make(chan struct{})
	return latch{opened, sync.OnceFunc(func() { close(opened) })}
}

// New makes a linker that acts once Run is called. It reports every problem of cfg.
func New(cfg Config) (*Linker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	problems := problem.NewSet(cfg.Log)
	contests := newContests(problems)
	l := &Linker{
		cfg: cfg, started: time.Now(), problems: problems, contests: contests,
		pools: poolCheck{
			find: overlay.CheckPool, drops: overlay.PoolDrops, resolvers: resolversIn,
			pools: []netip.Prefix{cfg.Pool4, cfg.Pool6}, problems: problems, log: cfg.Log, met: met{},
		},
	}
	l.plane = overlay.New(overlay.Options{
		Log:      cfg.Log,
		Repaired: func(err error) { problems.Report(problem.OverlayIncomplete, err) },
		Undone:   contests.note,
		Firewall: func(found []firewall.Finding) { problems.Report(problem.FirewallDrops, firewallError(found)) },
		Incomplete: func(failed map[string]error) {
			problems.Report(problem.ContainerIncomplete, incomplete(failed, l.localEndpoint))
		},
	})
	return l, nil
}

// Run links this host until ctx ends. It then tells the peers that this linker may come
// back, and leaves the containers as they are. It returns an error if something is wrong
// that does not pass by itself: no root, no VXLAN, a pool that overlaps the host's own
// routes, another linker. It returns nil before ctx ends if this host has another identity now, with
// which the next linker has to run. It may be called once.
func (l *Linker) Run(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("the linker needs root: it makes network interfaces")
	}
	if err := l.run(ctx); err != nil && !errors.Is(err, errNewIdentity) {
		return fmt.Errorf("linker: %w", err)
	}
	return nil
}

func (l *Linker) run(ctx context.Context) error {
	held, err := lock(l.cfg.StateDir)
	if err != nil {
		return err
	}
	defer held.Close()
	tasks, err := l.assemble(ctx)
	if err != nil {
		return err
	}
	l.cfg.Log.Info("linker starts", "host", l.cfg.Host, "underlay", l.cfg.Underlay, "version", l.cfg.Version)
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range tasks {
		group.Go(func() error {
			if err := t.run(ctx); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// outlive runs a part that ends a moment later than ctx: once last has returned.
func outlive(ctx context.Context, run func(context.Context) error, last func()) error {
	longer, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan struct{})
	prevent := context.AfterFunc(ctx, func() {
		defer close(ended)
		last()
		stop()
	})
	err := run(longer)
	if !prevent() { // last has been called
		<-ended
	}
	return err
}

// announceRestart tells the peers that this linker may come back, so that they do not
// suspend its containers meanwhile.
func (l *Linker) announceRestart() {
	l.host.facts.leave()
	if err := l.host.announceRestart(l.cfg.RestartWindow); err != nil {
		l.cfg.Log.Warn("cannot announce the restart", "err", err)
	}
	l.broadcast.send() // its own loop may have ended
}
