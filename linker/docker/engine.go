package docker

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"tombolo/internal/wake"
)

// Reconnects wait from minWait on, twice as long each time, up to maxWait.
const (
	minWait = 100 * time.Millisecond
	maxWait = 5 * time.Second
)

// resyncEvery is how often everything is listed anew: the Engine drops events when
// a reader is slow.
const resyncEvery = 30 * time.Second

// Network is the network whose endpoints are watched.
type Network struct {
	Name   string
	Driver string // of the network and of its addresses
	Subnet netip.Prefix
}

// Config is what an Engine is made of.
type Config struct {
	Host    string // unix:///var/run/docker.sock, tcp://...
	Network Network
	// NetworkGone, if set, is called before the network is made because no network
	// has its driver: whoever still knows one may forget it.
	NetworkGone func()
	Log         *slog.Logger
}

// Container is what the Engine says of a container. It is not changed once it is
// in a Snapshot.
type Container struct {
	ID         string
	Name       string // without the leading slash
	Hostname   string // known once it runs
	Labels     map[string]string
	EndpointID string // on our network; "" while it has none
	Running    bool   // started, neither dead nor paused
	Health     string // "none", "starting", "healthy" or "unhealthy"
	Started    time.Time
	Published  []Port // that were asked for; known once it runs
}

// Port is a port of the host that leads to one of a container.
type Port struct {
	HostIP   netip.Addr // unset: every address
	HostPort uint16
	Port     uint16
	Proto    string
}

// Endpoint is what the Engine says of an endpoint of our network.
type Endpoint struct {
	ID        string
	Container string // "" while it belongs to none
	Addr4     netip.Addr
	MAC       string
}

// Snapshot is an immutable picture of the Engine.
type Snapshot struct {
	Err        error                 // why the Engine cannot be reached; the rest is then the last known
	Syncs      int                   // how many times everything has been listed
	NetworkID  string                // "" while it is missing
	Endpoints  map[string]Endpoint   // by ID, as of the last full listing
	Containers map[string]*Container // by ID
}

// Engine watches one Docker Engine.
type Engine struct {
	cfg     Config
	api     *client.Client
	changes wake.Broadcast

	mu   sync.Mutex
	snap *Snapshot
}

// New makes a watcher that connects once Run is called. It fails on a Host that is
// no address.
func New(cfg Config) (*Engine, error) {
	api, err := client.New(client.WithHost(cfg.Host))
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	return &Engine{
		cfg: cfg, api: api,
		snap: &Snapshot{Err: fmt.Errorf("not connected to Docker at %s yet", cfg.Host)},
	}, nil
}

// Run watches until ctx ends, reconnecting as often as it takes.
func (e *Engine) Run(ctx context.Context) error {
	defer e.api.Close()
	retry := wake.NewBackoff(minWait, maxWait)
	for {
		before := e.Snapshot().Syncs
		err := e.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		after := e.Snapshot()
		if after.Syncs != before {
			retry.Reset()
		}
		e.publish(&Snapshot{
			Err:   err,
			Syncs: after.Syncs, NetworkID: after.NetworkID, Endpoints: after.Endpoints, Containers: after.Containers,
		})
		pause := retry.Next()
		e.cfg.Log.Warn("no connection to Docker", "err", err, "retry", pause)
		if !wake.Sleep(ctx, pause) {
			return nil
		}
	}
}

// Snapshot is the Engine as last seen.
func (e *Engine) Snapshot() *Snapshot {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.snap
}

// Watch tells of new snapshots, as wake.Broadcast.Watch does.
func (e *Engine) Watch() (changes <-chan struct{}, cancel func()) { return e.changes.Watch() }

func (e *Engine) publish(s *Snapshot) {
	e.mu.Lock()
	e.snap = s
	e.mu.Unlock()
	e.changes.Notify()
}

func (s *Snapshot) clone() *Snapshot {
	c := *s
	c.Containers = maps.Clone(s.Containers)
	return &c
}
