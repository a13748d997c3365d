package master

import (
	"fmt"
	"math"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// framework is a scheduler that is, or may again be, subscribed:
//
//	      SUBSCRIBE                 stream ends
//	──▶ connected ─────────────▶ disconnected ──failover_timeout──▶ removed
//	      ▲  │  ▲                    │                                ▲
//	      │  └──┘ SUBSCRIBE again:   │ SUBSCRIBE                      │
//	      │       old stream ends    │                                │
//	      └──────────────────────────┘            TEARDOWN ───────────┘
type framework struct {
	id         string
	info       mesos.FrameworkInfo
	stream     *stream // nil while disconnected
	heartbeat  *timer
	failover   *timer
	suppressed map[string]bool
	filters    map[*agent][]filter
	tasks      map[string]*task
	served     int // offers made to it so far
}

func (f *framework) send(event *scheduler.Event) {
	if f.stream != nil {
		f.stream.send(event)
	}
}

func (f *framework) can(c mesos.FrameworkInfo_Capability_Type) bool {
	return local.HasCapability(f.info, c)
}

// roles are those that the framework takes offers in.
func (f *framework) roles() []string {
	if f.can(mesos.FrameworkInfo_Capability_MULTI_ROLE) {
		return f.info.Roles
	}
	return []string{f.info.GetRole()}
}

// subscribe answers on s: SUBSCRIBED and a heartbeat, or an ERROR and the end.
func (m *Master) subscribe(s *stream, c *scheduler.Call_Subscribe) {
	info := *c.FrameworkInfo
	fault := frameworkFault(info, c.SuppressedRoles)
	if fault == "" && m.removed[info.GetID().GetValue()] {
		fault = "Framework has been removed"
	}
	if fault != "" {
		s.send(errorEvent(fault))
		s.end()
		return
	}
	f := m.frameworks[info.GetID().GetValue()]
	if f == nil {
		f = m.addFramework(info)
	}
	m.takeOver(f)
	f.info, f.stream, f.suppressed = info, s, set(c.SuppressedRoles)
	f.info.ID = &mesos.FrameworkID{Value: f.id}
	f.filters = map[*agent][]filter{}
	m.save()
	f.send(m.subscribedEvent(f))
	m.beat(f, s)
	m.log.Info("framework subscribed", "framework", f.id, "name", info.Name)
	m.resume(f)
	m.allocateAll()
}

func (m *Master) addFramework(info mesos.FrameworkInfo) *framework {
	id := info.GetID().GetValue()
	if id == "" {
		id = fmt.Sprintf("%s-%04d", m.info.ID, m.nextName)
		m.nextName++
	}
	f := &framework{id: id, info: info, tasks: map[string]*task{}, filters: map[*agent][]filter{}}
	f.info.ID = &mesos.FrameworkID{Value: id}
	m.frameworks[id] = f
	return f
}

// takeOver ends what an earlier subscription of f left.
func (m *Master) takeOver(f *framework) {
	m.timers.stop(f.failover)
	if f.stream != nil {
		f.send(errorEvent("Framework failed over"))
		f.stream.end()
		m.release(f)
	}
}

// release takes everything back that only a subscribed framework has.
func (m *Master) release(f *framework) {
	f.stream = nil
	m.timers.stop(f.heartbeat)
	for _, o := range m.offersOf(f) {
		m.takeBack(o)
	}
}

func (m *Master) beat(f *framework, s *stream) {
	s.send(&scheduler.Event{Type: scheduler.Event_HEARTBEAT})
	f.heartbeat = m.timers.after(m.config.heartbeatInterval, func() { m.beat(f, s) })
}

// disconnected is called when a stream's response has ended, for whatever reason.
func (m *Master) disconnected(s *stream) {
	for _, f := range m.frameworks {
		if f.stream == s {
			m.release(f)
			m.log.Info("framework disconnected", "framework", f.id)
			m.awaitFailover(f, f.failoverTimeout())
			return
		}
	}
}

func (m *Master) awaitFailover(f *framework, d time.Duration) {
	if d <= 0 {
		m.remove(f, "disconnected, without a failover timeout")
		return
	}
	f.failover = m.timers.after(d, func() { m.remove(f, "failover timeout") })
}

func (f *framework) failoverTimeout() time.Duration {
	return time.Duration(f.info.GetFailoverTimeout() * float64(time.Second))
}

// remove ends a framework and its tasks for good.
func (m *Master) remove(f *framework, why string) {
	m.log.Info("framework removed", "framework", f.id, "why", why)
	m.timers.stop(f.failover)
	if f.stream != nil {
		f.stream.end()
		m.release(f)
	}
	for _, t := range f.tasks {
		m.forget(t)
	}
	for _, a := range m.agents {
		delete(a.lost, f.id)
		a.tell(local.Shutdown{FrameworkID: mesos.FrameworkID{Value: f.id}})
	}
	delete(m.frameworks, f.id)
	m.removed[f.id] = true
	m.save()
}

// updateFramework changes what a framework may change of itself.
func (m *Master) updateFramework(f *framework, c *scheduler.Call_UpdateFramework) answer {
	info := c.FrameworkInfo
	fault := changeFault(f.info, info)
	if fault == "" {
		fault = frameworkFault(info, c.SuppressedRoles)
	}
	if fault != "" {
		return badRequest("FrameworkInfo update is not valid: %s", fault)
	}
	f.info = info
	f.info.ID = &mesos.FrameworkID{Value: f.id}
	f.suppressed = set(c.SuppressedRoles)
	for _, o := range m.offersOf(f) {
		if !slices.Contains(f.roles(), o.role) {
			m.rescind(o)
		}
	}
	m.save()
	m.allocateAll()
	return answer{status: 200}
}

func changeFault(old, changed mesos.FrameworkInfo) string {
	const unsupported = "Updating 'FrameworkInfo.%s' is unsupported; attempted to update from '%v' to '%v'"
	switch {
	case old.User != changed.User:
		return fmt.Sprintf(unsupported, "user", old.User, changed.User)
	case old.GetPrincipal() != changed.GetPrincipal():
		return fmt.Sprintf(unsupported, "principal", old.GetPrincipal(), changed.GetPrincipal())
	case old.GetCheckpoint() != changed.GetCheckpoint():
		return fmt.Sprintf(unsupported, "checkpoint", old.GetCheckpoint(), changed.GetCheckpoint())
	}
	return ""
}

func (m *Master) subscribedEvent(f *framework) *scheduler.Event {
	interval := m.config.heartbeatInterval.Seconds()
	return &scheduler.Event{
		Type: scheduler.Event_SUBSCRIBED,
		Subscribed: &scheduler.Event_Subscribed{
			FrameworkID:              &mesos.FrameworkID{Value: f.id},
			HeartbeatIntervalSeconds: &interval,
			MasterInfo:               &m.info,
		},
	}
}

func errorEvent(text string) *scheduler.Event {
	return &scheduler.Event{Type: scheduler.Event_ERROR, Error: &scheduler.Event_Error{Message: text}}
}

// frameworkFault says, in a real master's words, what is wrong with a framework.
func frameworkFault(info mesos.FrameworkInfo, suppressed []string) string {
	if fault := rolesFault(info); fault != "" {
		return fault
	}
	if id := info.GetID().GetValue(); id != "" {
		if fault := idFault(id); fault != "" {
			return fault
		}
	}
	if s := info.GetFailoverTimeout(); math.IsNaN(s) || s > math.MaxInt64/1e9 {
		return fmt.Sprintf("The framework failover_timeout (%g) is invalid", s)
	}
	roles := set(info.Roles)
	if !local.HasCapability(info, mesos.FrameworkInfo_Capability_MULTI_ROLE) {
		roles = set([]string{info.GetRole()})
	}
	var strangers []string
	for _, r := range suppressed {
		if !roles[r] {
			strangers = append(strangers, r)
		}
	}
	if len(strangers) > 0 {
		return fmt.Sprintf("Suppressed roles %s are not contained in the set of roles", braces(strangers))
	}
	return ""
}

func set(items []string) map[string]bool {
	s := map[string]bool{}
	for _, i := range items {
		s[i] = true
	}
	return s
}
