package linker

import (
	"context"
	"time"

	"tombolo/linker/attach"
	"tombolo/linker/docker"
	"tombolo/linker/record"
)

// identify joins what the plugin made with what Docker says it is, and keeps this
// host's endpoint records so.
func (l *Linker) identify(ctx context.Context) error {
	fromDocker, stop := l.docker.Watch()
	defer stop()
	fromTable, stop := l.table.Watch()
	defer stop()
	select {
	case <-ctx.Done():
		return nil
	case <-l.addresses.Ready(): // what Docker knows of addresses is adopted into the block
	}
	if !l.table.Fresh() {
		close(l.adopted)
	}
	syncs, mute := 0, map[string]bool{}
	for {
		engine := l.docker.Snapshot()
		l.problems.set("docker", engine.Err)
		if engine.Syncs != syncs {
			l.table.Reconcile(ctx, engine.NetworkID, live(engine))
			if syncs == 0 && l.table.Fresh() {
				close(l.adopted)
			}
			syncs = engine.Syncs
		}
		if syncs > 0 {
			l.putEndpoints(engine, mute)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-fromDocker:
		case <-fromTable:
		}
	}
}

// putEndpoints makes this host's records those of its endpoints now. Mute holds
// the containers whose labels were complained of.
func (l *Linker) putEndpoints(engine *docker.Snapshot, mute map[string]bool) {
	byEndpoint := map[string]*docker.Container{}
	for _, c := range engine.Containers {
		if c.EndpointID != "" {
			byEndpoint[c.EndpointID] = c
		}
	}
	wanted := map[string]bool{}
	for _, ep := range l.table.Snapshot() {
		c := byEndpoint[ep.ID]
		if c == nil || !ep.Joined {
			continue // nobody can say yet, or any more, what it is
		}
		r, err := endpointRecord(l.cfg.Host, ep, c)
		if err != nil && !mute[c.ID] {
			mute[c.ID] = true
			l.log.Warn("a container's labels make no sense: it is treated as foreign", "container", c.Name, "err", err)
		}
		if _, err := l.catalog.Put(record.Record{Key: record.Key{Kind: record.KindEndpoint, Name: ep.ID}, Endpoint: r}); err != nil {
			l.log.Warn("cannot announce an endpoint", "container", c.Name, "err", err)
			continue
		}
		wanted[ep.ID] = true
	}
	for id, ep := range l.catalog.Snapshot().Endpoints {
		if ep.Host == l.cfg.Host && !wanted[id] {
			l.catalog.Delete(record.Key{Kind: record.KindEndpoint, Name: id})
		}
	}
	l.catalog.Settle()
}

// endpointRecord is what the cluster is told of a container. An error says which
// labels make no sense; the record is then that of a foreign container.
func endpointRecord(host string, ep attach.Endpoint, c *docker.Container) (*record.Endpoint, error) {
	r, err := record.FromLabels(c.Labels)
	r.ID, r.Host, r.Container, r.Hostname = ep.ID, host, c.ID, c.Hostname
	if r.ContainerName == "" {
		r.ContainerName = c.Name
	}
	r.Addr4, r.Addr6, r.Published = ep.Addr4, ep.Addr6, ep.Published
	r.Running, r.Health = c.Running, record.Health(c.Health)
	if c.Running {
		r.Started = c.Started.UTC().Truncate(time.Millisecond)
	}
	return &r, err
}

// live is what Docker knows of our endpoints, for those that we do not know.
func live(engine *docker.Snapshot) []attach.Live {
	var out []attach.Live
	for _, ep := range engine.Endpoints {
		l := attach.Live{ID: ep.ID, Addr4: ep.Addr4, Addr6: ep.Addr6, MAC: ep.MAC}
		if c := engine.Containers[ep.Container]; c != nil {
			for _, p := range c.Published {
				l.Published = append(l.Published, record.Publish(p))
			}
		}
		out = append(out, l)
	}
	return out
}

// describe names an endpoint's container for people.
func (l *Linker) describe(id string) string {
	ep := l.catalog.Snapshot().Endpoints[id]
	if ep == nil {
		return ""
	}
	return title(ep)
}

func title(ep *record.Endpoint) string {
	if ep.App != "" {
		return "service " + ep.Service + " of app " + ep.App + " (container " + ep.ContainerName + ")"
	}
	return "container " + ep.ContainerName
}

// private reports whether an endpoint's container is known to be no service's.
func (l *Linker) private(id string) bool {
	ep := l.catalog.Snapshot().Endpoints[id]
	return ep != nil && ep.App == ""
}
