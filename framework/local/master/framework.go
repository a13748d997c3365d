package master

import (
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/local"
)

// framework is a scheduler that is subscribed or may subscribe again:
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
	failover   *timer          // removes the framework while it is disconnected
	suppressed map[string]bool // the roles in which it wants no offers
	filters    map[*agent][]filter
	tasks      map[string]*task // by task ID
	served     int              // how many offers it got so far
}

// send sends an event if the framework is connected.
func (f *framework) send(event *scheduler.Event) {
	if f.stream != nil {
		f.stream.send(event)
	}
}

func (f *framework) sendStatus(status mesos.TaskStatus) {
	f.send(&scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: status}})
}

func errorEvent(text string) *scheduler.Event {
	return &scheduler.Event{Type: scheduler.Event_ERROR, Error: &scheduler.Event_Error{Message: text}}
}

func (f *framework) can(c mesos.FrameworkInfo_Capability_Type) bool {
	return local.HasCapability(f.info, c)
}

// lostState returns state for a framework that is PARTITION_AWARE, and TASK_LOST for
// any other.
func (f *framework) lostState(state mesos.TaskState) mesos.TaskState {
	if f.can(mesos.FrameworkInfo_Capability_PARTITION_AWARE) {
		return state
	}
	return mesos.TASK_LOST
}

// roles returns the roles in which the framework takes offers.
func (f *framework) roles() []string { return rolesOf(f.info) }

func rolesOf(info mesos.FrameworkInfo) []string {
	if local.HasCapability(info, mesos.FrameworkInfo_Capability_MULTI_ROLE) {
		return info.Roles
	}
	return []string{info.GetRole()}
}

func (f *framework) failoverTimeout() time.Duration {
	return time.Duration(f.info.GetFailoverTimeout() * float64(time.Second))
}

// rejects reports whether a filter keeps these resources of an agent from the
// framework. It drops the filters that have expired.
func (f *framework) rejects(a *agent, role string, rs mesos.Resources, now time.Time) bool {
	f.filters[a] = slices.DeleteFunc(f.filters[a], func(x filter) bool { return !x.until.After(now) })
	return slices.ContainsFunc(f.filters[a], func(x filter) bool {
		return x.role == role && resources.ContainsAll(x.resources, rs)
	})
}

// revive drops the filters of roles and ends their suppression. An empty list means all
// roles.
func (f *framework) revive(roles []string) {
	for a, filters := range f.filters {
		f.filters[a] = slices.DeleteFunc(filters, func(x filter) bool { return matchesRole(roles, x.role) })
	}
	for _, role := range f.roles() {
		if matchesRole(roles, role) {
			delete(f.suppressed, role)
		}
	}
}

// suppress stops offers in roles. The framework keeps the offers that it holds. An empty
// list means all roles.
func (f *framework) suppress(roles []string) {
	for _, role := range f.roles() {
		if matchesRole(roles, role) {
			f.suppressed[role] = true
		}
	}
}

func matchesRole(roles []string, role string) bool {
	return len(roles) == 0 || slices.Contains(roles, role)
}
