package linker

import (
	"context"
	"errors"
	"time"

	"tombolo/linker/attach"
	"tombolo/linker/catalog"
	"tombolo/linker/docker"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

// identifier joins the endpoints that the plugin made with the containers that Docker
// describes, and keeps this host's endpoint records up to date.
type identifier struct {
	host       string
	docker     *docker.Engine
	table      *attach.Table
	catalog    *catalog.Catalog
	blockKnown <-chan struct{} // closed once addresses can be adopted into the block
	adopted    latch           // the identifier opens it when the table holds the last run's endpoints
	problems   *problem.Set
}

// run follows Docker and the table until ctx ends.
func (i *identifier) run(ctx context.Context) error {
	fromDocker, stop := i.docker.Watch()
	defer stop()
	fromTable, stop := i.table.Watch()
	defer stop()
	select {
	case <-ctx.Done():
		return nil
	case <-i.blockKnown:
	}
	if !i.table.Fresh() {
		i.adopted.open()
	}
	syncs := 0
	for {
		engine := i.docker.Snapshot()
		i.problems.Report(problem.DockerUnreachable, engine.Err)
		if engine.Syncs != syncs {
			syncs = engine.Syncs
			i.table.Reconcile(ctx, engine.NetworkID, dockerEndpoints(engine))
			i.adopted.open()
		}
		if syncs > 0 {
			i.putEndpoints(engine)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-fromDocker:
		case <-fromTable:
		}
	}
}

// putEndpoints makes this host's records match its endpoints. An endpoint gets no
// record before its interface and its container are both known.
func (i *identifier) putEndpoints(engine *docker.Snapshot) {
	byEndpoint := map[string]*docker.Container{}
	for _, c := range engine.Containers {
		if c.EndpointID != "" {
			byEndpoint[c.EndpointID] = c
		}
	}
	identified := map[string]bool{}
	var unreadable []error
	for _, ep := range i.table.Snapshot() {
		c := byEndpoint[ep.ID]
		if c == nil || c.Unread || !ep.Joined {
			continue
		}
		if err := i.putEndpoint(ep, c); err != nil {
			unreadable = append(unreadable, problem.About(c.Name, err))
		}
		identified[ep.ID] = true
	}
	i.problems.Report(problem.LabelsUnreadable, errors.Join(unreadable...))
	for _, ep := range i.catalog.Snapshot().Endpoints {
		if ep.Host == i.host && !identified[ep.ID] {
			i.catalog.Delete(record.Key{Kind: record.KindEndpoint, Name: ep.ID})
		}
	}
	i.catalog.DeleteLeftovers()
}

// putEndpoint announces an endpoint. If its labels are invalid, or too large for a
// record, it announces that the endpoint is shut off and returns the reason.
func (i *identifier) putEndpoint(ep attach.Endpoint, c *docker.Container) error {
	key := record.Key{Kind: record.KindEndpoint, Name: ep.ID}
	labelled, err := record.FromLabels(c.Labels)
	if err == nil {
		_, err = i.catalog.Put(record.Record{Key: key, Endpoint: endpointRecord(i.host, ep, c, labelled)})
	}
	if err != nil {
		_, shutErr := i.catalog.Put(record.Record{Key: key, Endpoint: endpointRecord(i.host, ep, c, record.ShutOff())})
		return errors.Join(err, shutErr)
	}
	return nil
}

// endpointRecord completes a record that has what the container's labels say.
func endpointRecord(host string, ep attach.Endpoint, c *docker.Container, labelled record.Endpoint) *record.Endpoint {
	r := labelled
	r.ID, r.Host, r.Container = ep.ID, host, c.ID
	if r.ContainerName == "" {
		r.ContainerName = fitting(c.Name)
	}
	r.Hostname = fitting(c.Hostname)
	r.Addr4, r.Addr6, r.Published = ep.Addr4, ep.Addr6, ep.Published
	r.Running, r.Health = c.Running, record.Health(c.Health)
	if c.Running {
		r.Started = c.Started.UTC().Truncate(time.Millisecond)
	}
	return &r
}

// fitting returns name, or "" if it is too long for a record. Docker allows longer
// names than DNS can use.
func fitting(name string) string {
	if len(name) > record.MaxID {
		return ""
	}
	return name
}

// dockerEndpoints lists Docker's endpoints, from which the table adopts those that it lacks.
func dockerEndpoints(engine *docker.Snapshot) []attach.DockerEndpoint {
	var out []attach.DockerEndpoint
	for _, ep := range engine.Endpoints {
		l := attach.DockerEndpoint{ID: ep.ID, Addr4: ep.Addr4, MAC: ep.MAC}
		if c := engine.Containers[ep.Container]; c != nil {
			l.Published, l.Sandbox = c.Published, c.Sandbox
		}
		out = append(out, l)
	}
	return out
}

// incomplete names the containers whose network is incomplete, with the reasons; failed has these
// by the endpoints' IDs.
func incomplete(failed map[string]error, local func(id string) *record.Endpoint) error {
	var errs []error
	for id, err := range failed {
		name := "endpoint " + attach.Short(id) // not identified yet
		if ep := local(id); ep != nil {
			name = describe(ep)
		}
		errs = append(errs, problem.About(name, err))
	}
	return errors.Join(errs...)
}

// describe names an endpoint's container in messages for people.
func describe(ep *record.Endpoint) string {
	if ep.App != "" {
		return "service " + ep.Service + " of app " + ep.App + " (container " + ep.ContainerName + ")"
	}
	return "container " + ep.ContainerName
}
