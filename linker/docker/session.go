package docker

import (
	"cmp"
	"context"
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
)

// session is one connection to the event stream. Its goroutine owns state; look-ups
// run beside it and hand back what they found.
type session struct {
	*Engine
	state   *Snapshot
	changed map[string]int // container -> its events so far: a look-up begun before one of them is done again
	found   chan func()    // look-ups' results, applied by the owner; unbuffered
	work    *errgroup.Group

	// Containers whose endpoint is looked for: one look-up serves all that wait.
	waiting map[string]bool
	looking bool
}

// lookAgain spaces the attempts of a look-up that the Engine did not answer.
const lookAgain = 200 * time.Millisecond

// watched are the events that matter; a health check alone causes three others.
var watched = []string{"create", "start", "die", "destroy", "rename", "pause", "unpause", "health_status", "connect", "disconnect"}

// session subscribes first and lists afterwards, so that nothing falls between.
func (e *Engine) session(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	s := &session{
		Engine: e, state: e.Snapshot().clone(), changed: map[string]int{},
		found: make(chan func()), work: work, waiting: map[string]bool{},
	}
	work.Go(func() error {
		if _, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
			return err
		}
		filters := client.Filters{}.Add("type", "container", "network").Add("event", watched...)
		stream := e.api.Events(ctx, client.EventsListOptions{Filters: filters})
		if err := s.resync(ctx); err != nil {
			return err
		}
		return s.loop(ctx, stream)
	})
	return work.Wait()
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
		case apply := <-s.found:
			apply()
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
	s.changed[c.ID]++
	if c.Name == "" {
		c.Name, c.Labels = nameAndLabels(m.Actor.Attributes)
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
		delete(s.changed, c.ID)
	}
	s.show()
}

func (s *session) handleNetwork(ctx context.Context, m events.Message) {
	if m.Actor.Attributes["name"] != s.cfg.Network.Name {
		return
	}
	id := m.Actor.Attributes["container"]
	switch m.Action {
	case events.ActionConnect:
		s.edit(id)
		s.changed[id]++
		s.waiting[id] = true
		s.findEndpoints(ctx)
	case events.ActionDisconnect:
		s.edit(id).EndpointID = ""
		s.changed[id]++
	case events.ActionDestroy:
		s.state.NetworkID = ""
		s.beside(ctx, func() func() {
			id, err := s.ensureNetwork(ctx)
			return func() {
				s.state.NetworkID = id
				if err != nil {
					s.cfg.Log.Warn("the network was removed and cannot be made again", "err", err)
				}
			}
		})
	}
	s.show()
}

// edit gives the container's next state to change: those in snapshots stay.
func (s *session) edit(id string) *Container {
	c := &Container{ID: id, Health: "none"}
	if old := s.state.Containers[id]; old != nil {
		*c = *old
	}
	s.state.Containers[id] = c
	return c
}

// show publishes the state as it is now. Containers in it are not changed any more.
func (s *session) show() { s.publish(s.state.clone()) }

// beside runs a look-up off the event loop, and its result on it.
func (s *session) beside(ctx context.Context, look func() func()) {
	s.work.Go(func() error {
		apply := look()
		select {
		case s.found <- func() { apply(); s.show() }:
		case <-ctx.Done():
		}
		return nil
	})
}

// later runs f on the event loop, soon.
func (s *session) later(ctx context.Context, f func()) {
	s.beside(ctx, func() func() {
		wake.Sleep(ctx, lookAgain) // beside drops f when ctx has ended
		return f
	})
}

// findEndpoints asks the network for the endpoints of the containers that wait. At
// this moment a container's own inspect would block until its process runs.
func (s *session) findEndpoints(ctx context.Context) {
	if s.looking {
		return
	}
	s.looking = true
	asked := slices.Collect(maps.Keys(s.waiting))
	clear(s.waiting)
	s.beside(ctx, func() func() {
		endpoints, err := s.inspectNetwork(ctx)
		return func() {
			if err != nil {
				s.cfg.Log.Warn("cannot look endpoints up", "err", err)
				for _, id := range asked {
					s.waiting[id] = true
				}
				s.later(ctx, func() { s.looking = false; s.findAgain(ctx) })
				return
			}
			s.looking = false
			for _, ep := range endpoints {
				if slices.Contains(asked, ep.Container) && s.state.Containers[ep.Container] != nil {
					s.edit(ep.Container).EndpointID = ep.ID
				}
			}
			s.findAgain(ctx)
		}
	})
}

func (s *session) findAgain(ctx context.Context) {
	if len(s.waiting) > 0 {
		s.findEndpoints(ctx)
	}
}

// inspect completes what the start event says. The container counts as running
// from its answer on, as only that tells whether there is a health check to wait for.
func (s *session) inspect(ctx context.Context, id string) {
	seen := s.changed[id]
	s.beside(ctx, func() func() {
		got, err := s.inspectContainer(ctx, id)
		return func() {
			now := s.state.Containers[id]
			switch {
			case now == nil, errdefs.IsNotFound(err):
			case err != nil:
				s.cfg.Log.Warn("cannot inspect a container", "container", id, "err", err)
				s.later(ctx, func() { s.inspect(ctx, id) })
			case s.changed[id] != seen:
				s.inspect(ctx, id) // something happened meanwhile: what was found may be old
			default:
				got.EndpointID = cmp.Or(now.EndpointID, got.EndpointID)
				*s.edit(id) = *got
			}
		}
	})
}

func nameAndLabels(attributes map[string]string) (string, map[string]string) {
	labels := maps.Clone(attributes)
	delete(labels, "name")
	delete(labels, "image")
	return strings.TrimPrefix(attributes["name"], "/"), labels
}
