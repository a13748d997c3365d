package linker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tombolo/linker/api"
	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/record"
)

// hostTimes keeps since when each host has its state, by this host's clock.
type hostTimes struct {
	mu    sync.Mutex
	known map[string]hostTime // by record.Host.Key
}

type hostTime struct {
	state string
	since time.Time
}

// note keeps the states of all hosts as of now, and forgets hosts that are not among them.
func (h *hostTimes) note(states map[string]string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := make(map[string]hostTime, len(states))
	for key, state := range states {
		next[key] = h.known[key]
		if next[key].state != state {
			next[key] = hostTime{state, now}
		}
	}
	h.known = next
}

func (h *hostTimes) since(key, state string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.known[key]; k.state == state {
		return k.since
	}
	return time.Time{}
}

// statesOf returns the state of each host of a snapshot, forgotten ones included.
func statesOf(s *record.Snapshot) map[string]string {
	states := map[string]string{}
	for key := range s.Hosts {
		states[key] = api.HostAlive
		if s.Suspended[key] {
			states[key] = api.HostSuspended
		}
	}
	for key := range s.Forgotten {
		states[key] = api.HostLeft
	}
	return states
}

// clusterHosts implements api.Cluster.
type clusterHosts struct {
	self    thisHost
	catalog *catalog.Catalog
	gossip  interface{ Members() []gossip.Member }
	times   *hostTimes
}

// Hosts implements api.Cluster.
func (c clusterHosts) Hosts(context.Context) []api.HostState {
	s := c.catalog.Snapshot()
	var all []api.HostState
	for key, state := range statesOf(s) {
		h := api.HostState{ID: key, Name: s.Forgotten[key], State: state, Since: c.times.since(key, state)}
		if known := s.Hosts[key]; known != nil {
			h.Name, h.Underlay, h.Block4, h.Version = known.Name, known.Underlay, known.Block4, known.Version
		}
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b api.HostState) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return all
}

// Forget implements api.Cluster.
func (c clusterHosts) Forget(ctx context.Context, name string, force bool) (api.HostState, error) {
	h, err := c.find(ctx, name)
	switch {
	case err != nil:
		return h, err
	case h.State == api.HostLeft:
		return h, fmt.Errorf("%w: host %s (%s) was forgotten before", api.ErrInvalid, h.Name, h.ID)
	case h.ID == c.self.id:
		return h, fmt.Errorf("%w: %s is this host: forget it from another one", api.ErrInvalid, h.Name)
	case !force && c.alive(h.ID):
		return h, fmt.Errorf("%w: host %s (%s, %s) is alive: stop its linker first, or use --force: it then comes back with another identity, and its containers are without names for a moment",
			api.ErrInvalid, h.Name, h.ID, h.Underlay)
	}
	return h, c.catalog.Forget(h.ID, h.Name)
}

// find returns the host with a name or an ID that is not forgotten, or else the forgotten one.
func (c clusterHosts) find(ctx context.Context, name string) (api.HostState, error) {
	var found, left []api.HostState
	for _, h := range c.Hosts(ctx) {
		switch {
		case h.Name != name && h.ID != name:
		case h.State == api.HostLeft:
			left = append(left, h)
		default:
			found = append(found, h)
		}
	}
	if len(found) == 0 {
		found = left
	}
	if len(found) == 0 {
		return api.HostState{}, fmt.Errorf("%w: no host is named %q (see: tombolo host ls)", api.ErrNotFound, name)
	}
	if exact := slices.IndexFunc(found, func(h api.HostState) bool { return h.ID == name }); exact >= 0 {
		return found[exact], nil
	}
	if len(found) > 1 {
		ids := map[string]bool{}
		for _, h := range found {
			ids[h.ID] = true
		}
		return api.HostState{}, fmt.Errorf("%w: several hosts are named %q: name one by its ID: %s",
			api.ErrInvalid, name, strings.Join(slices.Sorted(maps.Keys(ids)), ", "))
	}
	return found[0], nil
}

// alive reports whether a host answers now, or has announced that it restarts and is not
// suspended yet.
func (c clusterHosts) alive(key string) bool {
	for _, m := range c.gossip.Members() {
		if m.Name == key && m.Alive {
			return true
		}
	}
	s := c.catalog.Snapshot()
	return s.Hosts[key] != nil && !s.Suspended[key]
}
