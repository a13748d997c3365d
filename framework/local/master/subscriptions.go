package master

import (
	"cmp"
	"log/slog"
	"net/http"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// heartbeatInterval is the pause between HEARTBEAT events.
const heartbeatInterval = 15 * time.Second

// subscriptions moves frameworks between the states that type framework shows.
type subscriptions struct {
	master   mesos.MasterInfo // for SUBSCRIBED
	log      *slog.Logger
	loop     *loop
	registry *registry
	tasks    *taskBook
	offers   *allocator
}

// subscribe answers SUBSCRIBE on st: with SUBSCRIBED and a heartbeat, or with ERROR and
// the end of the stream.
func (s *subscriptions) subscribe(st *stream, c *scheduler.Call_Subscribe) {
	info := *c.FrameworkInfo
	id := info.GetID().GetValue()
	fault := frameworkFault(info, c.SuppressedRoles)
	if fault == "" && s.registry.removed[id] {
		fault = "Framework has been removed"
	}
	if fault != "" {
		st.send(errorEvent(fault))
		st.end()
		return
	}
	f := s.registry.frameworks[id]
	if f == nil {
		f = s.registry.addFramework(info)
	}
	f.failover.stop()
	if f.stream != nil {
		f.send(errorEvent("Framework failed over"))
		s.disconnect(f)
	}
	f.info, f.stream, f.suppressed = info, st, set(c.SuppressedRoles)
	f.info.ID = &mesos.FrameworkID{Value: f.id}
	f.filters = map[*agent][]filter{}
	s.registry.save()
	f.send(s.subscribed(f))
	s.beat(f, st)
	s.log.Info("framework subscribed", "framework", f.id, "name", info.Name)
	s.tasks.retrySoon(f)
	s.offers.allocateAll()
}

func (s *subscriptions) subscribed(f *framework) *scheduler.Event {
	return &scheduler.Event{
		Type: scheduler.Event_SUBSCRIBED,
		Subscribed: &scheduler.Event_Subscribed{
			FrameworkID:              &mesos.FrameworkID{Value: f.id},
			HeartbeatIntervalSeconds: new(heartbeatInterval.Seconds()),
			MasterInfo:               &s.master,
		},
	}
}

// beat sends a heartbeat now and after each interval.
func (s *subscriptions) beat(f *framework, st *stream) {
	st.send(&scheduler.Event{Type: scheduler.Event_HEARTBEAT})
	f.heartbeat = s.loop.after(heartbeatInterval, func() { s.beat(f, st) })
}

// disconnect ends a connected framework's stream and removes its offers.
func (s *subscriptions) disconnect(f *framework) {
	f.stream.end()
	f.stream = nil
	f.heartbeat.stop()
	for _, o := range s.offers.of(f) {
		s.offers.remove(o)
	}
}

// streamEnded handles the end of a stream's HTTP response, whether the scheduler, the
// network or the master ended it.
func (s *subscriptions) streamEnded(st *stream) {
	for _, f := range s.registry.frameworks {
		if f.stream == st {
			s.disconnect(f)
			s.log.Info("framework disconnected", "framework", f.id)
			s.awaitFailover(f, f.failoverTimeout())
			return
		}
	}
}

// awaitFailover removes a framework that does not subscribe again within d.
func (s *subscriptions) awaitFailover(f *framework, d time.Duration) {
	if d <= 0 {
		s.remove(f, "disconnected, without a failover timeout")
		return
	}
	f.failover = s.loop.after(d, func() { s.remove(f, "failover timeout") })
}

// recover adds a framework that only an agent remembers.
func (s *subscriptions) recover(info mesos.FrameworkInfo, atLeast time.Duration) *framework {
	f := s.registry.addFramework(info)
	s.awaitFailover(f, max(f.failoverTimeout(), atLeast))
	s.registry.save()
	return f
}

// remove ends a framework and its tasks for good.
func (s *subscriptions) remove(f *framework, why string) {
	s.log.Info("framework removed", "framework", f.id, "why", why)
	f.failover.stop()
	if f.stream != nil {
		s.disconnect(f)
	}
	for _, t := range f.tasks {
		s.tasks.forget(t)
	}
	for _, a := range s.registry.agents {
		delete(a.lost, f.id)
		a.send(local.Shutdown{FrameworkID: mesos.FrameworkID{Value: f.id}})
	}
	delete(s.registry.frameworks, f.id)
	s.registry.removed[f.id] = true
	s.registry.save()
}

// update handles UPDATE_FRAMEWORK.
func (s *subscriptions) update(f *framework, c *scheduler.Call_UpdateFramework) answer {
	info := c.FrameworkInfo
	if fault := cmp.Or(changeFault(f.info, info), frameworkFault(info, c.SuppressedRoles)); fault != "" {
		return badRequest("FrameworkInfo update is not valid: %s", fault)
	}
	f.info = info
	f.info.ID = &mesos.FrameworkID{Value: f.id}
	f.suppressed = set(c.SuppressedRoles)
	for _, o := range s.offers.of(f) {
		if !slices.Contains(f.roles(), o.role) {
			s.offers.rescind(o)
		}
	}
	s.registry.save()
	s.offers.allocateAll()
	return answer{status: http.StatusOK}
}

func (s *subscriptions) endStreams() {
	for _, f := range s.registry.frameworks {
		if f.stream != nil {
			f.stream.end()
		}
	}
}
