package docker

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/moby/moby/client"

	"tombolo/internal/wake"
	"tombolo/linker/record"
)

// The pauses between two connections double from minWait to maxWait.
const (
	minWait = 100 * time.Millisecond
	maxWait = 5 * time.Second
)

// resyncEvery is the time between two full listings. They are needed because the Engine
// drops events when a reader is slow.
const resyncEvery = 30 * time.Second

// Network describes the network whose endpoints are watched.
type Network struct {
	Name   string
	Driver string // the network driver and the IPAM driver
	Subnet netip.Prefix
}

// Config says which Engine is watched.
type Config struct {
	Host    string // the Engine's address: unix:///var/run/docker.sock, tcp://...
	Network Network
	// NetworkGone is called when no network of the Engine uses the driver, before the
	// network is created: it forgets the ID of an earlier network. Nil: not called.
	NetworkGone func()
	Log         *slog.Logger
}

// Container is a container as the Engine describes it. It does not change once it is in
// a Snapshot.
type Container struct {
	ID         string
	Name       string            // without the leading slash
	Hostname   string            // "" until the container runs
	Labels     map[string]string // its own, without those of its image that could identify it
	Unread     bool              // Labels are not known yet
	EndpointID string            // on our network; "" without one
	Running    bool              // started, and neither dead nor paused
	Health     string            // "none", "starting", "healthy" or "unhealthy"
	Started    time.Time
	Published  []record.PublishedPort // with a host port that was asked for; empty until the container runs
	Sandbox    string                 // path of its network namespace; "" until the container runs
}

// Endpoint is an endpoint of our network as the Engine describes it.
type Endpoint struct {
	ID        string
	Container string // "" while it belongs to no container
	Addr4     netip.Addr
	MAC       string
}

// Snapshot is an immutable description of the Engine's state.
type Snapshot struct {
	Err        error                 // why the Engine cannot be reached; the other fields are then the last known
	Version    string                // of the Engine, as "29.8.0" or "20.10.24+dfsg1"; "": unknown
	Syncs      int                   // number of full listings so far
	NetworkID  string                // "" while the network is missing
	Endpoints  map[string]Endpoint   // by ID, as of the last full listing
	Containers map[string]*Container // by ID
}

// Engine watches one Docker Engine.
type Engine struct {
	cfg     Config
	api     *client.Client
	changes wake.Broadcast
	snap    atomic.Pointer[Snapshot]
}

// New returns an Engine that connects once Run is called. It returns an error if
// cfg.Host is not an address.
func New(cfg Config) (*Engine, error) {
	api, err := client.New(client.WithHost(cfg.Host))
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	e := &Engine{cfg: cfg, api: api}
	e.snap.Store(&Snapshot{Err: fmt.Errorf("not connected to Docker at %s yet", cfg.Host)})
	return e, nil
}

// Run watches the Engine until ctx ends, and connects again whenever the connection
// breaks. It always returns nil.
func (e *Engine) Run(ctx context.Context) error {
	defer e.api.Close()
	retry := wake.NewBackoff(minWait, maxWait)
	for {
		before := e.Snapshot().Syncs
		err := e.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		after := *e.Snapshot()
		if after.Syncs != before {
			retry.Reset()
		}
		after.Err = err
		e.publish(&after)
		pause := retry.Next()
		e.cfg.Log.Warn("no connection to Docker", "err", err, "retry", pause)
		if !wake.Sleep(ctx, pause) {
			return nil
		}
	}
}

// Snapshot returns the latest state of the Engine.
func (e *Engine) Snapshot() *Snapshot { return e.snap.Load() }

// Watch tells of new snapshots, as wake.Broadcast.Watch does.
func (e *Engine) Watch() (changes <-chan struct{}, cancel func()) { return e.changes.Watch() }

func (e *Engine) publish(s *Snapshot) {
	e.snap.Store(s)
	e.changes.Notify()
}

func (s *Snapshot) clone() *Snapshot {
	c := *s
	c.Containers = maps.Clone(s.Containers)
	return &c
}
