package linker

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/attach"
	"tombolo/linker/block"
	"tombolo/linker/catalog"
	"tombolo/linker/hostport"
	"tombolo/linker/probe"
	"tombolo/linker/problem"
	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// endpointsByKey returns the endpoints of a snapshot.
func endpointsByKey(all ...*record.Endpoint) map[string]*record.Endpoint {
	out := map[string]*record.Endpoint{}
	for _, ep := range all {
		out[ep.Key()] = ep
	}
	return out
}

func TestContainersHaveNoEgressUntilIdentified(t *testing.T) {
	s := &record.Snapshot{Endpoints: endpointsByKey(
		&record.Endpoint{ID: "open", Host: "h1"},
		&record.Endpoint{ID: "internal", Host: "h1", Internal: true},
	)}
	e := &effectiveCatalog{Snapshot: s, Relation: reach.Of(s), self: hostWith("h1", "100.64.1.0/24", day)}
	cfg, err := compile(overlay.Config{VNI: 7}, e, []attach.Endpoint{
		{ID: "open", Joined: true}, {ID: "internal", Joined: true}, {ID: "new", Joined: true}, {ID: "without interface"},
	}, nil)
	if err != nil || cfg.VNI != 7 || cfg.Self.Name != "h1" || len(cfg.Endpoints) != 3 {
		t.Fatalf("compile returned %+v and the error %v, want the base with this host and three endpoints", cfg, err)
	}
	for _, ep := range cfg.Endpoints {
		if want := ep.ID != "open"; ep.Internal != want {
			t.Errorf("endpoint %s is internal: %v, want %v", ep.ID, ep.Internal, want)
		}
	}
}

// A host that publishes ports knows which containers of other hosts are internal.
func TestInternalContainersElsewhereAreKnown(t *testing.T) {
	addr := netip.MustParseAddr
	s := &record.Snapshot{Endpoints: endpointsByKey(
		&record.Endpoint{ID: "here", Host: "h1"},
		&record.Endpoint{ID: "open", Host: "h2", Addr4: addr("100.64.2.2")},
		&record.Endpoint{ID: "shut", Host: "h2", Addr4: addr("100.64.2.4"), Addr6: addr("fd00::4"), Internal: true},
		&record.Endpoint{ID: "shut2", Host: "h2", Addr4: addr("100.64.2.3"), Internal: true},
	)}
	e := &effectiveCatalog{Snapshot: s, Relation: reach.Of(s), self: hostWith("h1", "100.64.1.0/24", day)}
	here := attach.Endpoint{ID: "here", Joined: true, Addr4: addr("100.64.1.2")}
	cfg, err := compile(overlay.Config{}, e, []attach.Endpoint{here}, nil)
	if err != nil || cfg.Internal != nil {
		t.Errorf("a host without published ports knows %v (%v), want none", cfg.Internal, err)
	}
	here.Published = []record.PublishedPort{{HostPort: 80, Port: 80, Proto: "tcp"}}
	cfg, err = compile(overlay.Config{}, e, []attach.Endpoint{here}, nil)
	want := []netip.Addr{addr("100.64.2.3"), addr("100.64.2.4"), addr("fd00::4")}
	if err != nil || !slices.Equal(cfg.Internal, want) {
		t.Errorf("a host with published ports knows %v (%v), want %v", cfg.Internal, err, want)
	}
}

func TestContainersOfDeadHostsAreKnown(t *testing.T) {
	addr := netip.MustParseAddr
	s := &record.Snapshot{Suspended: map[string]bool{"h2": true}, Endpoints: endpointsByKey(
		&record.Endpoint{ID: "lost", Host: "h2", App: "shop", Service: "db", Slot: 1, Generation: 1, Addr4: addr("100.64.2.2")},
		&record.Endpoint{ID: "replaced", Host: "h2", App: "shop", Service: "db", Slot: 2, Generation: 1, Addr4: addr("100.64.2.3"), Addr6: addr("fd00::3")},
		&record.Endpoint{ID: "next", Host: "h3", App: "shop", Service: "db", Slot: 2, Generation: 2, Addr4: addr("100.64.3.2")},
	)}
	e := &effectiveCatalog{Snapshot: s, Relation: reach.Of(s), self: hostWith("h1", "100.64.1.0/24", day)}
	cfg, err := compile(overlay.Config{}, e, nil, nil)
	if err != nil || !slices.Equal(cfg.Suspended, []netip.Addr{addr("100.64.2.2")}) || !slices.Equal(cfg.Superseded, []netip.Addr{addr("100.64.2.3"), addr("fd00::3")}) {
		t.Errorf("suspended %v and superseded %v (%v), want lost and replaced", cfg.Suspended, cfg.Superseded, err)
	}
}

// flakyKernel fails while it is busy.
type flakyKernel struct {
	busy atomic.Bool
	sets []overlay.Config
}

func (k *flakyKernel) Set(_ context.Context, c overlay.Config) error {
	k.sets = append(k.sets, c)
	if k.busy.Load() {
		return errors.New("device is busy")
	}
	return nil
}

// fakeHost is the converger's view of this host.
type fakeHost struct {
	wake.Broadcast
	claim     *block.Claim
	endpoints []attach.Endpoint
}

func (f *fakeHost) Current() *block.Claim       { return f.claim }
func (f *fakeHost) Snapshot() []attach.Endpoint { return f.endpoints }

// A container reaches neither the linker's own ports, nor the one at which it serves metrics.
func TestTheMetricsAreAtABlockedPort(t *testing.T) {
	blocked := blockedPorts(Config{Metrics: "0.0.0.0:9999", BlockedPorts: []uint16{2375}})
	for _, port := range []uint16{7981, 7982, 2375, 9999} {
		if !slices.Contains(blocked, overlay.HostPort{Port: port, Proto: "tcp"}) {
			t.Errorf("the blocked ports are %v, want port %d among them", blocked, port)
		}
	}
}

func TestConverger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		kernel, host, problems := &flakyKernel{}, &fakeHost{}, problem.NewSet(slog.New(slog.DiscardHandler))
		c := &converger{
			appliedNow: func(*record.Snapshot) {},
			plane:      kernel, table: host, sockets: hostport.New(slog.New(slog.DiscardHandler)), problems: problems, adopted: newLatch(), matched: newLatch(),
			effective: &effectiveCache{host: thisHost{name: "h1", catalog: catalog.New("h1", 1)}, block: host, pool4: DefaultPool4, vips: newBook(t)},
		}
		c.paths = probe.New(probe.Config{})
		kernel.busy.Store(true)
		matched := func() bool {
			select {
			case <-c.matched.opened:
				return true
			default:
				return false
			}
		}
		done := make(chan error, 1)
		go func() { done <- c.run(ctx) }()
		host.claim = &block.Claim{Block4: netip.MustParsePrefix("100.64.1.0/24")}
		pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		pass(time.Hour)
		if len(kernel.sets) > 0 {
			t.Error("the kernel was changed before the endpoints of the last run were adopted")
		}
		c.adopted.open()
		pass(time.Minute)
		if len(kernel.sets) < 2 || matched() || problems.Ready() {
			t.Errorf("Set failed %d times, matched is %v and ready %v; want retries and neither", len(kernel.sets), matched(), problems.Ready())
		}
		kernel.busy.Store(false)
		pass(retryAfter)
		tries := len(kernel.sets)
		if !matched() || !problems.Ready() {
			t.Errorf("after Set succeeded, matched is %v and ready %v; want both", matched(), problems.Ready())
		}
		host.Notify() // nothing has changed
		pass(time.Hour)
		host.endpoints = []attach.Endpoint{{ID: "new", Joined: true}}
		host.Notify()
		synctest.Wait()
		if len(kernel.sets) != tries+1 || len(kernel.sets[tries].Endpoints) != 1 {
			t.Errorf("Set was called %d times since it succeeded, want once, for the new endpoint", len(kernel.sets)-tries)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run returned %v after its context had ended, want nil", err)
		}
	})
}

func TestGateWaitsForTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		problems := problem.NewSet(slog.New(slog.DiscardHandler))
		g := gate{newPlane(), newLatch(), problems}
		problems.Report(problem.BlockMissing, errors.New("no peers"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := g.Attach(ctx, overlay.Endpoint{ID: "ep"}); err == nil || !strings.Contains(err.Error(), "not ready: block-missing: no peers") {
			t.Errorf("Attach returned %v before the kernel matched, want an error with the problem", err)
		}
		attached := make(chan error, 1)
		go func() {
			_, err := g.Attach(t.Context(), overlay.Endpoint{ID: "ep"})
			attached <- err
		}()
		synctest.Wait()
		g.matched.open()
		g.matched.open() // again is harmless
		if err := <-attached; err != nil {
			t.Errorf("Attach returned %v after the kernel matched, want nil", err)
		}
	})
}
