package linker

import (
	"context"
	"errors"
	"maps"
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
// the containers that were complained of.
func (l *Linker) putEndpoints(engine *docker.Snapshot, mute map[string]bool) {
	maps.DeleteFunc(mute, func(id string, _ bool) bool { return engine.Containers[id] == nil })
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
		if err := l.putEndpoint(ep, c); err != nil && !mute[c.ID] {
			mute[c.ID] = true
			l.log.Warn("a container is treated as foreign", "container", c.Name, "err", err)
		}
		wanted[ep.ID] = true
	}
	for id, ep := range l.catalog.Snapshot().Endpoints {
		if ep.Host == l.cfg.Host && !wanted[id] {
			l.catalog.Delete(record.Key{Kind: record.KindEndpoint, Name: id})
		}
	}
	l.catalog.DeleteLeftovers()
}

// putEndpoint announces an endpoint. One whose labels make no sense, or fit in no
// record, is announced as that of a foreign container, and the error says why.
func (l *Linker) putEndpoint(ep attach.Endpoint, c *docker.Container) error {
	key := record.Key{Kind: record.KindEndpoint, Name: ep.ID}
	who, err := record.FromLabels(c.Labels)
	if err == nil {
		_, err = l.catalog.Put(record.Record{Key: key, Endpoint: endpointRecord(l.cfg.Host, ep, c, who)})
	}
	if err != nil {
		foreign := endpointRecord(l.cfg.Host, ep, c, record.Endpoint{})
		_, ferr := l.catalog.Put(record.Record{Key: key, Endpoint: foreign})
		return errors.Join(err, ferr)
	}
	return nil
}

// endpointRecord is what the cluster is told of a container that is who it is.
func endpointRecord(host string, ep attach.Endpoint, c *docker.Container, who record.Endpoint) *record.Endpoint {
	r := who
	r.ID, r.Host, r.Container = ep.ID, host, c.ID
	if r.ContainerName == "" {
		r.ContainerName = carried(c.Name)
	}
	r.Hostname = carried(c.Hostname)
	r.Addr4, r.Addr6, r.Published = ep.Addr4, ep.Addr6, ep.Published
	r.Running, r.Health = c.Running, record.Health(c.Health)
	if c.Running {
		r.Started = c.Started.UTC().Truncate(time.Millisecond)
	}
	return &r
}

// carried is a name as far as a record can carry it: Docker takes longer ones,
// which DNS has no use for.
func carried(name string) string {
	if len(name) > record.MaxID {
		return ""
	}
	return name
}

// live is what Docker knows of our endpoints, for those that we do not know.
func live(engine *docker.Snapshot) []attach.DockerEndpoint {
	var out []attach.DockerEndpoint
	for _, ep := range engine.Endpoints {
		l := attach.DockerEndpoint{ID: ep.ID, Addr4: ep.Addr4, MAC: ep.MAC}
		if c := engine.Containers[ep.Container]; c != nil {
			for _, p := range c.Published {
				l.Published = append(l.Published, record.PublishedPort{HostIP: p.HostIP, HostPort: p.HostPort, Port: p.Port, Proto: p.Proto})
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
