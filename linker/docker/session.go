package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"tombolo/internal/wake"
	"tombolo/linker/record"
)

// session is one connection to the Engine's event stream. Its event loop owns state.
// Requests to the Engine run beside the loop and return a function that the loop runs.
type session struct {
	*Engine
	state   *Snapshot
	events  map[string]int // container -> number of its events; a request is repeated if one came meanwhile
	results chan func()    // unbuffered: a result that comes after the end of the session is dropped
	work    *errgroup.Group

	awaiting map[string]bool // containers whose endpoint is to be found
	finding  bool            // a request for endpoints is under way; the next one serves all that wait then
}

// retryPause is the time between two attempts of a request that the Engine did not answer.
const retryPause = 200 * time.Millisecond

// watchedEvents excludes events that tell nothing new. A health check alone causes three
// of those.
var watchedEvents = []string{"create", "start", "die", "destroy", "rename", "pause", "unpause", "health_status", "connect", "disconnect"}

// session subscribes to events before it lists everything, so that no change is missed.
func (e *Engine) session(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	s := &session{
		Engine: e, state: e.Snapshot().clone(), events: map[string]int{},
		results: make(chan func()), work: work, awaiting: map[string]bool{},
	}
	work.Go(func() error {
		if err := s.greet(ctx); err != nil {
			return err
		}
		work.Go(func() error { return s.watch(ctx) })
		filters := client.Filters{}.Add("type", "container", "network").Add("event", watchedEvents...)
		stream := e.api.Events(ctx, client.EventsListOptions{Filters: filters})
		if err := s.resync(ctx); err != nil {
			return err
		}
		return s.loop(ctx, stream)
	})
	return work.Wait()
}

// greet waits for the Engine's first answers.
func (s *session) greet(ctx context.Context) error {
	if err := s.ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	version, err := s.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return fmt.Errorf("ask for the version: %w", err)
	}
	s.state.Version = version.Version
	return nil
}

// An Engine that is stuck, or stopped by a signal, keeps its connections open and says nothing: it is
// noticed after 8 s at most.
const (
	pingEvery   = 3 * time.Second
	pingTimeout = 5 * time.Second
)

// watch returns an error once the Engine does not answer.
func (s *session) watch(ctx context.Context) error {
	for wake.Sleep(ctx, pingEvery) {
		if err := s.ping(ctx, client.PingOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) ping(ctx context.Context, options client.PingOptions) error {
	ctx, cancel := context.WithTimeoutCause(ctx, pingTimeout, fmt.Errorf("the Engine has not answered for %s", pingTimeout))
	defer cancel()
	_, err := s.api.Ping(ctx, options)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

func (s *session) loop(ctx context.Context, stream client.EventsResult) error {
	tick := time.NewTicker(resyncEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-stream.Err:
			return fmt.Errorf("events: %w", err)
		case m := <-stream.Messages:
			s.handle(ctx, m)
		case apply := <-s.results:
			apply()
			s.publishState()
		case <-tick.C:
			if err := s.resync(ctx); err != nil {
				return err
			}
		}
	}
}

func (s *session) handle(ctx context.Context, m events.Message) {
	if m.Type == events.NetworkEventType {
		s.handleNetwork(ctx, m)
		return
	}
	c := s.edit(m.Actor.ID)
	s.events[c.ID]++
	if c.Name == "" {
		var labels map[string]string
		c.Name, labels = nameAndLabels(m.Actor.Attributes)
		if c.Unread = record.Identifies(labels); !c.Unread {
			c.Labels = labels
		} else {
			s.readLabels(ctx, c.ID, labels, m.Actor.Attributes["image"])
		}
	}
	action, detail, _ := strings.Cut(string(m.Action), ": ")
	switch action {
	case "start", "unpause":
		c.Started = time.Unix(0, m.TimeNano)
		s.inspect(ctx, c.ID)
	case "die":
		c.Running, c.Health = false, "none"
	case "pause":
		c.Running = false
	case "rename":
		c.Name = strings.TrimPrefix(m.Actor.Attributes["name"], "/")
	case "health_status":
		c.Health = detail
	case "destroy":
		delete(s.state.Containers, c.ID)
		delete(s.events, c.ID)
	}
	s.publishState()
}

func (s *session) handleNetwork(ctx context.Context, m events.Message) {
	if m.Actor.Attributes["name"] != s.cfg.Network.Name {
		return
	}
	id := m.Actor.Attributes["container"]
	switch m.Action {
	case events.ActionConnect:
		s.edit(id)
		s.events[id]++
		s.awaiting[id] = true
		s.findEndpoints(ctx)
	case events.ActionDisconnect:
		s.edit(id).EndpointID = ""
		s.events[id]++
	case events.ActionDestroy:
		s.state.NetworkID = ""
		s.request(ctx, func() func() {
			id, err := s.ensureNetwork(ctx)
			return func() {
				s.state.NetworkID = id
				if err != nil {
					s.cfg.Log.Warn("the Docker network was removed and cannot be created again", "err", err)
				}
			}
		})
	}
	s.publishState()
}

// edit returns a copy of the container that takes its place in the next snapshot. The
// containers of earlier snapshots stay as they are.
func (s *session) edit(id string) *Container {
	c := &Container{ID: id, Health: "none"}
	if old := s.state.Containers[id]; old != nil {
		*c = *old
	}
	s.state.Containers[id] = c
	return c
}

// publishState publishes a snapshot of the present state.
func (s *session) publishState() { s.publish(s.state.clone()) }

// request runs ask beside the event loop, and the function that it returns on the loop.
func (s *session) request(ctx context.Context, ask func() (apply func())) {
	s.work.Go(func() error {
		apply := ask()
		select {
		case s.results <- apply:
		case <-ctx.Done():
		}
		return nil
	})
}

// retry runs f on the event loop after retryPause.
func (s *session) retry(ctx context.Context, f func()) {
	s.request(ctx, func() func() {
		wake.Sleep(ctx, retryPause) // if ctx ends, request drops f
		return f
	})
}

// findEndpoints asks the network for the endpoints of the containers in awaiting. They
// cannot be inspected yet, because the Engine would answer only when their process runs.
func (s *session) findEndpoints(ctx context.Context) {
	if s.finding || len(s.awaiting) == 0 {
		return
	}
	s.finding = true
	asked := slices.Collect(maps.Keys(s.awaiting))
	clear(s.awaiting)
	s.request(ctx, func() func() {
		endpoints, err := s.inspectNetwork(ctx)
		return func() {
			if err != nil {
				s.cfg.Log.Warn("cannot list the endpoints of the Docker network", "err", err)
				for _, id := range asked {
					s.awaiting[id] = true
				}
				s.retry(ctx, func() { s.finding = false; s.findEndpoints(ctx) })
				return
			}
			s.finding = false
			for _, ep := range endpoints {
				if slices.Contains(asked, ep.Container) && s.state.Containers[ep.Container] != nil {
					s.edit(ep.Container).EndpointID = ep.ID
				}
			}
			s.findEndpoints(ctx)
		}
	})
}

// readLabels asks for the image of a new container, to tell the container's own labels from
// the image's.
func (s *session) readLabels(ctx context.Context, id string, labels map[string]string, image string) {
	s.request(ctx, func() func() {
		own, err := s.ownLabels(ctx, labels, image)
		return func() {
			now := s.state.Containers[id]
			switch {
			case now == nil || !now.Unread:
			case err != nil:
				s.cfg.Log.Warn("cannot read the labels of an image", "container", id, "image", image, "err", err)
				s.retry(ctx, func() { s.readLabels(ctx, id, labels, image) })
			default:
				c := s.edit(id)
				c.Labels, c.Unread = own, false
			}
		}
	})
}

// inspect completes the description of a container that has started. The container
// counts as running only after this, because the start event does not tell whether there
// is a health check to wait for.
func (s *session) inspect(ctx context.Context, id string) {
	seen, known := s.events[id], s.state.Containers[id]
	s.request(ctx, func() func() {
		got, err := s.inspectContainer(ctx, id, known)
		return func() {
			now := s.state.Containers[id]
			switch {
			case now == nil, errdefs.IsNotFound(err):
			case err != nil:
				s.cfg.Log.Warn("cannot inspect a container", "container", id, "err", err)
				s.retry(ctx, func() { s.inspect(ctx, id) })
			case s.events[id] != seen:
				s.inspect(ctx, id) // the answer may be older than the latest event
			default:
				got.EndpointID = cmp.Or(now.EndpointID, got.EndpointID)
				*s.edit(id) = *got
			}
		}
	})
}

// nameAndLabels splits the attributes of a container's event.
func nameAndLabels(attributes map[string]string) (string, map[string]string) {
	labels := maps.Clone(attributes)
	delete(labels, "name")
	delete(labels, "image")
	return strings.TrimPrefix(attributes["name"], "/"), labels
}
