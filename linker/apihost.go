package linker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"tombolo/dns"
	"tombolo/linker/api"
	"tombolo/linker/catalog"
	"tombolo/linker/docker"
	"tombolo/linker/gossip"
	"tombolo/linker/ipam"
	"tombolo/linker/plugin"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// apiHost shows this host to the clients of the API. It implements api.Host.
type apiHost struct {
	version   string
	started   time.Time
	effective *effectiveCache
	zone      dns.Zone
	gossip    *gossip.Gossip
	docker    *docker.Engine
	matched   latch // see converger
	problems  *problem.Set
	counters  counters
}

func (h apiHost) Status(context.Context) (api.Status, error) {
	e := h.effective.get()
	out := api.Status{
		Version: h.version, Started: h.started, Host: *e.self, Problems: h.problems.List(), Counters: h.counters.all(),
	}
	for _, m := range h.gossip.Members() {
		p := api.Peer{ID: m.Name, Name: m.Name, Underlay: m.Addr.Addr().String(), State: "suspended"}
		if m.Alive {
			p.State = "alive"
		}
		if known := e.Hosts[m.Name]; known != nil {
			p.Name, p.Underlay = known.Name, known.Underlay.String()
		}
		out.Peers = append(out.Peers, p)
	}
	select {
	case <-h.matched.opened:
		out.Ready = h.problems.Ready() && h.docker.Snapshot().NetworkID != ""
	default:
	}
	return out, nil
}

// Resolve answers as the DNS server would, also for containers of other hosts.
func (h apiHost) Resolve(_ context.Context, name, from string) (api.Resolution, error) {
	e := h.effective.get()
	view := e.view(hostAsker)
	if from != "" {
		ep, err := findEndpoint(e.Snapshot, from)
		if err != nil {
			return api.Resolution{}, err
		}
		asked := e.Relation
		if ep.Host != e.self.Key() {
			asked = asked.WithAddresses(nil) // services have other addresses there
		}
		theirs := asked.Names(ep.Key())
		view = &theirs
	}
	full, targets, exists := h.zone.Lookup(view, name)
	out := api.Resolution{Name: full, Exists: exists, Targets: targets}
	if a, ok := view.InZone(strings.TrimSuffix(full, "."+h.zone.Name)); ok && len(a.Services) > 0 {
		out.Service, out.Instances = true, a.Targets
	}
	return out, nil
}

func (h apiHost) Logs(ctx context.Context, container string, o api.LogOptions, line func(api.LogLine) error) error {
	err := h.docker.Logs(ctx, container, docker.LogOptions(o), func(l docker.Line) error {
		return line(api.LogLine{Stream: l.Stream, Time: l.Time, Line: l.Text})
	})
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	}
	return err
}

// findEndpoint finds a container by one of its addresses, by its name, by its ID or at
// least the first four characters of that, or as HOST/NAME where several hosts have a
// container of that name.
func findEndpoint(s *record.Snapshot, container string) (*record.Endpoint, error) {
	var exact, prefixed []*record.Endpoint
	for _, ep := range s.Endpoints {
		switch {
		case ep.Addr4.String() == container, ep.Addr6.IsValid() && ep.Addr6.String() == container,
			ep.Container == container, ep.ContainerName == container, s.HostName(ep.Host)+"/"+ep.ContainerName == container:
			exact = append(exact, ep)
		case len(container) >= 4 && strings.HasPrefix(ep.Container, container):
			prefixed = append(prefixed, ep)
		}
	}
	found := exact
	if len(found) == 0 {
		found = prefixed
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("%w: no container %q on the overlay", api.ErrNotFound, container)
	}
	var names []string
	for _, ep := range found {
		names = append(names, s.HostName(ep.Host)+"/"+ep.ContainerName)
	}
	slices.Sort(names)
	return nil, fmt.Errorf("%w: %q may be any of %s", api.ErrInvalid, container, strings.Join(names, ", "))
}

// metricsSource implements metrics.Source.
type metricsSource struct {
	host    apiHost
	catalog *catalog.Catalog
}

func (s metricsSource) State() (api.Status, error) { return s.host.Status(context.Background()) }

func (s metricsSource) Snapshot() *record.Snapshot { return s.catalog.Snapshot() }

// counters collects the counters of the parts.
type counters struct {
	gossip    *gossip.Gossip
	catalog   *catalog.Catalog
	dns       *dns.Server
	plugin    *plugin.Server
	addresses *ipam.Allocator
	plane     dataPlane
	log       *slog.Logger
}

// all returns, per part, counts of events that are not logged.
func (c counters) all() map[string]uint64 {
	d := c.dns.Stats()
	out := map[string]uint64{
		"dns.queries": d.Queries, "dns.answered": d.Answered, "dns.forwarded": d.Forwarded, "dns.refused": d.Refused,
		"dns.unserved": d.Unserved, "dns.malformed": d.Malformed, "dns.limited": d.Limited, "dns.truncated": d.Truncated,

		"plugin.refused": c.plugin.Refused(), "addresses.exhausted": c.addresses.Exhausted(),
	}
	packets, err := c.plane.Counters()
	if err != nil {
		c.log.Debug("cannot count packets", "err", err)
	}
	for part, counts := range map[string]map[string]uint64{"gossip": c.gossip.Counters(), "catalog": c.catalog.Counters(), "overlay": packets} {
		for name, n := range counts {
			out[part+"."+name] = n
		}
	}
	return out
}
