package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"tombolo/linker/record"
)

// inspectTimeout bounds the inspection of one container. One that hangs in the Engine
// must not delay the others.
const inspectTimeout = 2 * time.Second

// listTimeout bounds all other requests. An Engine that takes longer counts as
// unreachable.
const listTimeout = 20 * time.Second

// inspectAtOnce bounds the inspections under way at the same time during a full listing.
const inspectAtOnce = 8

// resync lists everything. It runs on the event loop, so events that come meanwhile wait
// in the stream and are applied afterwards.
func (s *session) resync(session context.Context) error {
	ctx, cancel := context.WithTimeout(session, listTimeout)
	defer cancel()
	id, err := s.ensureNetwork(ctx)
	if err != nil {
		return err
	}
	// Containers come before endpoints. A container that starts between the two requests
	// is in the events that follow; an endpoint that is made between them would lack its
	// container if it came first.
	list, err := s.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	endpoints, err := s.inspectNetwork(ctx)
	if err != nil {
		return err
	}
	s.state.Err, s.state.NetworkID, s.state.Endpoints = nil, id, endpoints
	s.state.Syncs++
	s.setContainers(ctx, list.Items)
	for _, item := range list.Items {
		if s.state.Containers[item.ID].Unread { // it does not run, or could not be inspected
			s.readLabels(session, item.ID, item.Labels, item.ImageID)
		}
	}
	s.publishState()
	return nil
}

// setContainers replaces all containers by those of list. It inspects only running ones
// that were not known to run.
func (s *session) setContainers(ctx context.Context, list []container.Summary) {
	byContainer := map[string]string{}
	for _, ep := range s.state.Endpoints {
		byContainer[ep.Container] = ep.ID
	}
	next := make(map[string]*Container, len(list))
	var inspections errgroup.Group
	inspections.SetLimit(inspectAtOnce)
	for _, item := range list {
		c := fromSummary(item)
		c.EndpointID = byContainer[c.ID]
		next[c.ID] = c
		old := s.state.Containers[c.ID]
		if old != nil && !old.Unread {
			c.Labels, c.Unread = old.Labels, false
		}
		if old != nil && old.Running && old.Hostname != "" {
			c.Started, c.Hostname, c.Published = old.Started, old.Hostname, old.Published
			continue
		}
		if !c.Running {
			continue
		}
		inspections.Go(func() error {
			got, err := s.inspectContainer(ctx, c.ID, c)
			if err != nil {
				s.cfg.Log.Warn("cannot inspect a container", "container", c.ID, "err", err)
				return nil
			}
			got.EndpointID = c.EndpointID
			*c = *got
			return nil
		})
	}
	_ = inspections.Wait() // no inspection returns an error
	s.state.Containers = next
	maps.DeleteFunc(s.events, func(id string, _ int) bool { return next[id] == nil })
}

func fromSummary(item container.Summary) *Container {
	c := &Container{
		ID: item.ID, Labels: item.Labels, Unread: record.Identifies(item.Labels), Running: item.State == container.StateRunning,
		Health: "none", Started: time.Unix(item.Created, 0),
	}
	if len(item.Names) > 0 {
		c.Name = strings.TrimPrefix(item.Names[0], "/")
	}
	if c.Running {
		c.Health = healthOf(item.Status)
	}
	return c
}

// healthOf parses the status line of a list, such as "Up 5 minutes (healthy)". Engines
// before 28 list the health of a container nowhere else.
func healthOf(status string) string {
	switch {
	case strings.HasSuffix(status, "(healthy)"):
		return "healthy"
	case strings.HasSuffix(status, "(unhealthy)"):
		return "unhealthy"
	case strings.HasSuffix(status, "(health: starting)"):
		return "starting"
	}
	return "none"
}

// inspectContainer inspects a container whose process runs. known is what is known of it; its
// labels never change.
func (e *Engine) inspectContainer(ctx context.Context, id string, known *Container) (*Container, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	r, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("inspect container: %w", err)
	}
	c := &Container{ID: id, Name: strings.TrimPrefix(r.Container.Name, "/"), Health: "none"}
	if cfg := r.Container.Config; cfg != nil {
		c.Hostname, c.Labels = cfg.Hostname, known.Labels
		if known.Unread {
			if c.Labels, err = e.ownLabels(ctx, cfg.Labels, r.Container.Image); err != nil {
				return nil, err
			}
		}
	}
	if host := r.Container.HostConfig; host != nil {
		c.Published = published(host.PortBindings)
	}
	if settings := r.Container.NetworkSettings; settings != nil {
		c.Sandbox = settings.SandboxKey
		if n := settings.Networks[e.cfg.Network.Name]; n != nil {
			c.EndpointID = n.EndpointID
		}
	}
	if st := r.Container.State; st != nil {
		c.Running = st.Running && !st.Paused
		c.Started, _ = time.Parse(time.RFC3339Nano, st.StartedAt) // zero if the Engine gives no time
		if st.Health != nil && c.Running {
			c.Health = string(st.Health.Status)
		}
	}
	return c, nil
}

// ownLabels returns the labels of a container without those that its image has brought. An
// image that the Engine does not have any more brings none.
func (e *Engine) ownLabels(ctx context.Context, labels map[string]string, image string) (map[string]string, error) {
	if !record.Identifies(labels) {
		return labels, nil
	}
	r, err := e.api.ImageInspect(ctx, image)
	if errdefs.IsNotFound(err) {
		e.cfg.Log.Warn("the image of a container is gone; all labels count as the container's own", "image", image)
		return labels, nil
	}
	if err != nil {
		return nil, fmt.Errorf("inspect image: %w", err)
	}
	if r.Config == nil {
		return labels, nil
	}
	return record.OwnLabels(labels, r.Config.Labels), nil
}

// published returns the ports of a container's configuration that name a host port. A
// port for which Docker chooses one is not among them.
func published(bindings network.PortMap) []record.PublishedPort {
	var out []record.PublishedPort
	for port, list := range bindings {
		for _, b := range list {
			number, err := strconv.ParseUint(b.HostPort, 10, 16)
			if err != nil || number == 0 {
				continue
			}
			p := record.PublishedPort{HostPort: uint16(number), Port: port.Num(), Proto: string(port.Proto())}
			if b.HostIP.IsValid() && !b.HostIP.IsUnspecified() {
				p.HostIP = b.HostIP
			}
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b record.PublishedPort) int { return int(a.HostPort) - int(b.HostPort) })
	return out
}
