package frameworktest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	linker "tombolo/linker/api"
	"tombolo/linker/record"
)

var errNoLinker = errors.New("connection refused")

// Linker is the linker of one host, as the framework sees it.
type Linker struct {
	c    *Cluster
	host *host
}

// Linker returns the linker of a host.
func (c *Cluster) Linker(name string) *Linker { return &Linker{c, c.hosts[name]} }

// AppRecord returns the newest record of an app that any linker has got.
func (c *Cluster) AppRecord(name string) record.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apps[name]
}

// gossip makes all linkers show the present catalog.
func (c *Cluster) gossip() {
	c.index++
	c.catalogs.Notify()
}

func (l *Linker) up() bool { return l.host.alive && l.host.reachable && l.host.linker }

// Watch implements framework.Catalog.
func (l *Linker) Watch(ctx context.Context, fn func(*record.Snapshot)) error {
	changes, cancel := l.c.catalogs.Watch()
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
		l.c.mu.Lock()
		up, snapshot := l.up(), l.c.catalog()
		l.c.mu.Unlock()
		if !up {
			return errNoLinker
		}
		fn(snapshot)
	}
}

func (c *Cluster) catalog() *record.Snapshot {
	s := &record.Snapshot{
		Index: c.index, Hosts: map[string]*record.Host{}, Endpoints: map[string]*record.Endpoint{},
		Apps: map[string]*record.App{}, Owners: map[string]string{}, Suspended: map[string]bool{},
	}
	for i, h := range c.sorted() {
		s.Hosts[h.name] = &record.Host{
			Name: h.name, Underlay: netip.AddrFrom4([4]byte{198, 18, 0, byte(11 + i)}),
			Overlay4: netip.AddrFrom4([4]byte{100, 64, byte(i), 0}), Troubles: h.troubles,
		}
		if !h.reachable {
			s.Suspended[h.name] = true
		}
		for _, t := range h.tasks {
			if !t.running {
				continue
			}
			if e := t.endpoint(); e != nil {
				e.Addr4 = netip.AddrFrom4([4]byte{100, 64, byte(i), 2})
				s.Endpoints[e.ID] = e
			}
		}
	}
	for name, r := range c.apps {
		if !r.Deleted {
			s.Apps[name], s.Owners[name] = r.App, r.Owner
		}
	}
	return s
}

// PutApp implements framework.Recorder.
func (l *Linker) PutApp(_ context.Context, r record.Record) error { return l.take(r) }

// DeleteApp implements framework.Recorder.
func (l *Linker) DeleteApp(_ context.Context, r record.Record) error { return l.take(r) }

func (l *Linker) take(r record.Record) error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if !l.up() {
		return errNoLinker
	}
	if err := r.Check(); err != nil {
		l.c.violate("app record: %v", err)
	}
	if known, ok := l.c.apps[r.Name]; ok && r.Version.Less(known.Version) {
		return fmt.Errorf("%s: %w", r.Name, linker.ErrStale)
	}
	l.c.apps[r.Name] = r
	l.c.gossip()
	return nil
}

// Logs implements framework.Logs.
func (l *Linker) Logs(ctx context.Context, container string, o linker.LogOptions, fn func(linker.LogLine) error) error {
	changes, cancel := l.c.catalogs.Watch()
	defer cancel()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
		up, running, lines := l.output(container)
		if !up {
			return errNoLinker
		}
		for ; n < len(lines); n++ {
			if err := fn(lines[n]); err != nil {
				return err
			}
		}
		if !o.Follow || !running {
			return nil
		}
	}
}

// Prune removes a volume from its host, as `docker volume prune` does.
func (c *Cluster) Prune(volume string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		delete(h.volumes, volume)
	}
}

// BreakEngine makes the Engine of a host answer no question about volumes, or answer again.
func (c *Cluster) BreakEngine(host string, broken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts[host].broken = broken
}

// Has reports whether a host has a volume.
func (c *Cluster) Has(host, volume string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hosts[host].volumes[volume]
}

// Pause pauses the containers whose task IDs begin with prefix.
func (c *Cluster) Pause(prefix string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		for id, t := range h.tasks {
			t.paused = t.paused || strings.HasPrefix(id, prefix)
		}
	}
	c.gossip()
}

// Container implements framework.Engine.
func (l *Linker) Container(_ context.Context, container string) (linker.Container, error) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	for _, t := range l.host.tasks {
		if t.container != strings.TrimPrefix(container, "mesos-") || !t.running {
			continue
		}
		out := linker.Container{Status: "running", Attached: true}
		if t.paused {
			out.Status = "paused"
		}
		if t.health == record.HealthUnhealthy && t.behaviour.Check != "" {
			out.Failed = &linker.HealthCheck{Exit: 1, Output: t.behaviour.Check}
		}
		return out, nil
	}
	return linker.Container{}, fmt.Errorf("%s: %w", container, linker.ErrNotFound)
}

// Volume implements framework.Engine.
func (l *Linker) Volume(_ context.Context, name string) (linker.Volume, error) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if !l.up() || l.host.broken {
		return linker.Volume{}, errNoLinker
	}
	return linker.Volume{Exists: l.host.volumes[name]}, nil
}

// RemoveVolume implements framework.VolumeRemover.
func (l *Linker) RemoveVolume(_ context.Context, name string) error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if !l.up() || l.host.broken {
		return errNoLinker
	}
	delete(l.host.volumes, name)
	return nil
}

// Version implements framework.Engine. The Engine of h1 is 25, all others are 20.10.
func (l *Linker) Version(context.Context) (linker.EngineVersion, error) {
	if l.host.name == "h1" {
		return linker.EngineVersion{API: "1.44"}, nil
	}
	return linker.EngineVersion{API: "1.41"}, nil
}

// output returns all lines of a container so far.
func (l *Linker) output(container string) (up, running bool, lines []linker.LogLine) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	for _, t := range l.host.tasks {
		if t.container == strings.TrimPrefix(container, "mesos-") {
			running, lines = t.running, slices.Clone(t.output)
		}
	}
	return l.up(), running, lines
}
