package framework

import (
	"fmt"
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/deploy"
)

// Disconnected says that the subscription is lost: offers are void, and nothing
// is launched until the next. The client of the master calls it.
func (f *Framework) Disconnected(err error) {
	f.inbox.put(func() {
		if f.connected {
			f.Log.Warn("master lost", "err", err)
		}
		f.connected = false
		f.dropOffers()
	})
}

// event takes one event of the master.
func (f *Framework) event(e scheduler.Event) {
	switch e.GetType() {
	case scheduler.Event_SUBSCRIBED:
		f.subscribed(e.GetSubscribed())
	case scheduler.Event_OFFERS:
		for _, o := range e.GetOffers().GetOffers() {
			f.offered(o, time.Now())
		}
	case scheduler.Event_RESCIND:
		f.rescinded(e.GetRescind().OfferID.Value)
	case scheduler.Event_UPDATE:
		f.update(e.GetUpdate().Status, time.Now())
	case scheduler.Event_FAILURE:
		if failure := e.GetFailure(); failure.ExecutorID == nil && failure.AgentID != nil {
			f.agentGone(failure.AgentID.Value)
		}
	case scheduler.Event_INVERSE_OFFERS, scheduler.Event_RESCIND_INVERSE_OFFER:
		f.Log.Debug("maintenance announced; nothing is moved ahead of it")
	}
}

func (f *Framework) subscribed(s *scheduler.Event_Subscribed) {
	if id := s.FrameworkID.GetValue(); id != f.id {
		f.Log.Info("registered", "framework", id)
		f.id = id
		f.batch.SetFrameworkID(id)
		for _, d := range f.apps {
			d.sent = nil // its record names its owner
		}
	}
	if m := s.GetMasterInfo(); m != nil {
		f.leader = masterAddress(m)
	}
	f.connected = true
	f.dropOffers()
	f.market = market{}
	for _, t := range f.tasks {
		t.killSent = time.Time{} // what was under way may have been lost with the connection
	}
	f.reconcile.start(f.tasks, time.Now())
	for _, w := range f.linkers {
		if w.up {
			f.sweep(w.snapshot)
		}
	}
}

func masterAddress(m *mesos.MasterInfo) string {
	name := m.GetHostname()
	if address := m.GetAddress(); address != nil {
		if ip := address.GetIP(); ip != "" {
			name = ip
		}
		return fmt.Sprintf("%s:%d", name, address.GetPort())
	}
	return fmt.Sprintf("%s:%d", name, m.GetPort())
}

// removed starts over as a new framework: the master has given up the old one
// and its agents end its tasks.
func (f *Framework) removed() {
	f.Log.Warn("the master has removed the framework; starting over as a new one", "framework", f.id)
	f.id = ""
	f.batch.SetFrameworkID("")
	f.connected = false
	f.dropOffers()
	now := time.Now()
	for _, id := range slices.Sorted(maps.Keys(f.tasks)) {
		f.finish(f.tasks[id], end{phase: deploy.Dropped, reason: "ended with its framework", at: now})
	}
}

func (f *Framework) agentGone(agent string) {
	for _, h := range f.hosts {
		if h.agent == agent {
			f.Log.Warn("host lost", "host", h.name, "agent", agent)
			h.agent = ""
		}
	}
	for id, o := range f.offers {
		if o.agent == agent {
			f.rescinded(id)
		}
	}
}
