package framework

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	mesosresources "github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"pgregory.net/rapid"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/store"
	"tombolo/framework/store/storetest"
	"tombolo/linker/record"
)

// A decision looks only at what an event has marked. Whatever happens, a second one that looks at
// everything finds nothing else to do and nothing else to show.
func TestMarksLeaveNothingOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) { // rapid may not ask a bubble for its deadline
			w := newMarkedWorld(t)
			for range rapid.IntRange(1, 40).Draw(t, "steps") {
				w.step()
				w.settle()
				w.compare()
			}
		})
	})
}

// markedWorld is a framework without goroutines, and the events that may happen to it.
type markedWorld struct {
	t      *rapid.T
	f      *Framework
	offers int
	index  uint64
	last   string // the step, for messages
}

func newMarkedWorld(t *rapid.T) *markedWorld {
	linked := map[string]Linker{}
	if rapid.Bool().Draw(t, "with linkers") {
		linked = map[string]Linker{"h0": {}, "h1": {}}
	}
	f := New(Config{Master: silent{}, Store: store.New(storetest.NewMemory()), Linkers: linked, Log: slog.New(slog.DiscardHandler)})
	nothing := func(func(context.Context)) {}
	f.updater.spawn, f.volumes.spawn, f.examiner.spawn = nothing, nothing, nothing
	w := &markedWorld{t: t, f: f}
	w.subscribe()
	w.put()
	for range 3 {
		w.offer()
	}
	w.catalog()
	w.catalog()
	return w
}

func (w *markedWorld) step() {
	type step struct {
		name  string
		often int
		do    func()
	}
	var steps []step
	for _, s := range []step{
		{"put", 2, w.put}, {"remove", 1, w.remove}, {"subscribe", 1, w.subscribe}, {"offer", 4, w.offer}, {"rescind", 1, w.rescind},
		{"lose the master", 1, func() { w.f.Disconnected(nil); w.work() }}, {"lose an agent", 1, w.loseAgent}, {"update", 10, w.update},
		{"catalog", 3, w.catalog}, {"lose a linker", 1, w.loseLinker}, {"wait", 6, w.wait}, {"find", 2, w.find},
	} {
		steps = append(steps, slices.Repeat([]step{s}, s.often)...)
	}
	s := rapid.SampledFrom(steps).Draw(w.t, "step")
	w.last = s.name
	s.do()
}

// work runs what was queued.
func (w *markedWorld) work() {
	for _, fn := range w.f.queue.Take() {
		fn()
	}
}

func (w *markedWorld) turn() {
	w.f.decide(time.Now())
	if err := w.f.config.Store.Commit(&w.f.model.batch); err != nil {
		w.t.Fatal(err)
	}
	w.f.board.publish(w.f.reporter.snapshot(w.f.board.latest(), time.Now()))
	w.effects()
}

// settle makes turns until no decision marks anything for the next one.
func (w *markedWorld) settle() {
	for range 10 {
		w.turn()
		if d := &w.f.model.dirty; len(d.apps) == 0 && !d.all && !d.market && !d.agents {
			return
		}
	}
	w.t.Fatalf("after %q, ten decisions have not come to an end", w.last)
}

// compare marks everything and decides again. Only why an instance waits may be shown otherwise:
// the offers that the first decision has looked at may be declined by now.
func (w *markedWorld) compare() {
	before := w.f.board.latest()
	w.f.model.touchAll()
	w.f.model.dirty.agents = true
	w.f.decide(time.Now())
	after := w.f.reporter.snapshot(before, time.Now())
	if diff := cmp.Diff(before.Info, after.Info); diff != "" {
		w.t.Fatalf("after %q, the cluster is shown otherwise than what was marked (-marked +everything):\n%s", w.last, diff)
	}
	if diff := cmp.Diff(withoutWaits(before), withoutWaits(after)); diff != "" {
		w.t.Fatalf("after %q, everything is shown otherwise than what was marked (-marked +everything):\n%s", w.last, diff)
	}
	if effects := w.effects(); len(effects) > 0 {
		w.t.Fatalf("after %q, a decision about everything has more effects: %q", w.last, effects)
	}
	w.settle()
}

func withoutWaits(s *api.Snapshot) map[string]api.Status {
	apps := map[string]api.Status{}
	for name, shown := range s.Apps.All() {
		status := shown.Status
		status.Failed, status.Instances = "", slices.Clone(status.Instances)
		for n := range status.Instances {
			if i := &status.Instances[n]; i.State == api.StateWaiting || i.State == api.StateLost {
				i.Reason = ""
			}
		}
		apps[name] = status
	}
	return apps
}

// effects lets the effects of a decision happen, and names launches, kills and app records.
func (w *markedWorld) effects() (list []string) {
	w.f.out.flush()
	for _, c := range w.f.out.calls.queue.Take() {
		if c.Type == scheduler.Call_ACCEPT || c.Type == scheduler.Call_KILL {
			list = append(list, c.Type.String())
		}
	}
	for _, c := range w.f.linkers {
		for _, rec := range c.outgoing.Take() {
			list = append(list, "record of "+rec.Name)
		}
	}
	return list
}

func (w *markedWorld) put() {
	restart := rapid.SampledFrom([]string{app.RestartAny, app.RestartNone}).Draw(w.t, "restart")
	services := map[string]app.Service{}
	for _, name := range []string{"db", "web"}[:rapid.IntRange(1, 2).Draw(w.t, "services")] {
		s := app.Service{
			Name: name, Image: rapid.SampledFrom([]string{"one", "two"}).Draw(w.t, "image"), Restart: app.Restart{Condition: restart},
			Replicas: rapid.IntRange(0, 3).Draw(w.t, "replicas"), Global: rapid.Bool().Draw(w.t, "global"),
		}
		if rapid.Bool().Draw(w.t, "publishes a port") {
			s.Ports = []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}}
		}
		if rapid.Bool().Draw(w.t, "links") {
			s.Links = []app.Link{{App: rapid.SampledFrom([]string{"a", "B", "c", "other"}).Draw(w.t, "links to"), Service: "db"}}
		}
		if name == "web" && rapid.Bool().Draw(w.t, "depends") {
			s.DependsOn = map[string]app.Dependency{"db": {Condition: app.Started}}
		}
		services[name] = s
	}
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(w.t, "app")
	if d := w.f.model.apps[name]; d == nil || !d.Removing {
		w.f.model.putApp(app.App{Name: name, Services: services}, time.Now())
	}
}

func (w *markedWorld) remove() {
	if d := w.anApp(); d != nil {
		w.f.model.removeApp(d, rapid.Bool().Draw(w.t, "volumes"))
	}
}

func (w *markedWorld) anApp() *deployment {
	if len(w.f.model.apps) == 0 {
		return nil
	}
	return w.f.model.apps[rapid.SampledFrom(slices.Sorted(maps.Keys(w.f.model.apps))).Draw(w.t, "which app")]
}

func (w *markedWorld) subscribe() {
	w.f.event(1, scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{FrameworkID: &mesos.FrameworkID{Value: "F"}}})
}

func (w *markedWorld) host() string {
	return rapid.SampledFrom([]string{"h0", "h1", "h2"}).Draw(w.t, "host")
}

func (w *markedWorld) offer() {
	host := w.host()
	w.offers++
	agent := rapid.SampledFrom([]string{"1", "2"}).Draw(w.t, "agent of the host")
	w.f.event(1, scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: []mesos.Offer{{
		ID: mesos.OfferID{Value: fmt.Sprint("o", w.offers)}, AgentID: mesos.AgentID{Value: host + "-" + agent}, Hostname: host,
		Resources: []mesos.Resource{mesosresources.NewCPUs(float64(rapid.IntRange(0, 3).Draw(w.t, "cpus"))).Resource, mesosresources.NewMemory(1024).Resource},
	}}}})
}

func (w *markedWorld) rescind() {
	for _, list := range w.f.offers.Hosts() {
		w.f.event(1, scheduler.Event{Type: scheduler.Event_RESCIND, Rescind: &scheduler.Event_Rescind{OfferID: mesos.OfferID{Value: list[0].ID}}})
		return
	}
}

func (w *markedWorld) update() {
	if len(w.f.model.tasks) == 0 {
		return
	}
	t := w.f.model.tasks[rapid.SampledFrom(slices.Sorted(maps.Keys(w.f.model.tasks))).Draw(w.t, "task")]
	states := []mesos.TaskState{
		mesos.TASK_STARTING, mesos.TASK_FAILED, mesos.TASK_FINISHED, mesos.TASK_KILLED, mesos.TASK_UNREACHABLE, mesos.TASK_DROPPED, mesos.TASK_GONE,
	}
	likely := mesos.TASK_RUNNING
	if t.Killing {
		likely = mesos.TASK_KILLED
	}
	state := rapid.SampledFrom(append(states, slices.Repeat([]mesos.TaskState{likely}, 10)...)).Draw(w.t, "state")
	w.f.event(1, scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: mesos.TaskStatus{
		TaskID: mesos.TaskID{Value: t.ID}, State: &state, AgentID: &mesos.AgentID{Value: t.Agent}, UUID: []byte("1"),
	}}})
	w.work()
}

func (w *markedWorld) loseAgent() {
	if h := w.f.model.hosts[w.host()]; h != nil && h.agent != "" {
		w.f.agentLost(h.agent)
	}
}

// catalog brings a linker's catalog, in which some tasks have containers.
func (w *markedWorld) catalog() {
	c := w.f.linkers[w.host()]
	if c == nil {
		return
	}
	w.index++
	s := &record.Snapshot{Index: w.index, Hosts: map[string]*record.Host{}, Endpoints: map[string]*record.Endpoint{}, Apps: map[string]*record.App{}, Owners: map[string]string{}, Suspended: map[string]bool{}}
	for _, name := range []string{"h0", "h1", "h2"} {
		if rapid.Bool().Draw(w.t, name+" is in the catalog") {
			s.Hosts[name] = &record.Host{Name: name, Underlay: netip.MustParseAddr("198.18.0.1")}
		}
	}
	for _, t := range sorted(w.f.model.tasks) {
		if health := rapid.SampledFrom([]record.Health{"", record.HealthNone, record.HealthHealthy, record.HealthUnhealthy}).Draw(w.t, "health of "+t.ID); health != "" {
			s.Endpoints[t.ID] = &record.Endpoint{ID: t.ID, Host: t.Host, Task: t.ID, App: t.App, Service: t.Service, Slot: t.Slot, Generation: t.Generation, Running: true, Health: health}
		}
	}
	for _, name := range []string{"a", "b", "c", "other"} {
		switch rapid.SampledFrom([]string{"", "a record", "an endpoint"}).Draw(w.t, name+" is known by") {
		case "a record":
			s.Apps[name] = &record.App{Name: name, Services: map[string]record.Service{"db": {Export: w.export()}}}
			s.Owners[name] = "F"
		case "an endpoint":
			s.Endpoints["of "+name] = &record.Endpoint{ID: "of " + name, Host: "h0", App: name, Service: "db", Export: w.export(), Running: true}
		}
	}
	s.Suspended["h1"] = rapid.Bool().Draw(w.t, "h1 is suspended")
	c.bring(s)
	w.work()
}

func (w *markedWorld) export() *record.Export {
	return rapid.SampledFrom([]*record.Export{nil, {}, {To: []string{"a"}}}).Draw(w.t, "export")
}

func (w *markedWorld) loseLinker() {
	if c := w.f.linkers[w.host()]; c != nil {
		c.lost(nil)
	}
}

func (w *markedWorld) wait() {
	time.Sleep(rapid.SampledFrom([]time.Duration{10 * time.Millisecond, time.Second, 3 * time.Second, 5 * time.Second, 20 * time.Second, 5 * time.Minute}).Draw(w.t, "wait"))
}

// find answers a question about a task that is not up.
func (w *markedWorld) find() {
	for _, t := range sorted(w.f.model.tasks) {
		if t.phase() == deploy.Running && !t.up {
			w.f.examiner.found(t.ID, "its health check fails")
			return
		}
	}
}

func TestTheEarliestSleeperWakesFirst(t *testing.T) {
	now := time.Now()
	m := newModel()
	var apps []*deployment
	for n := range 5 {
		apps = append(apps, m.putApp(app.App{Name: fmt.Sprint("app", n)}, now))
		m.wakeAt(apps[n], now.Add(time.Duration(10+n)*time.Second))
	}
	m.due(now)
	for _, d := range apps {
		m.wakeAt(d, now.Add(time.Minute))
	}
	m.wakeAt(apps[3], now.Add(time.Second)) // earlier than before
	m.wakeAt(apps[1], now.Add(time.Hour))   // later: changes nothing
	m.dropApp(apps[4])
	if got := m.sleepers.next(); !got.Equal(now.Add(time.Second)) {
		t.Errorf("the next decision is needed at %v, want %v", got, now.Add(time.Second))
	}
	for after, want := range map[time.Duration][]*deployment{0: nil, time.Second: {apps[3]}} {
		m.dirty.apps = nil
		if got := m.due(now.Add(after)); !slices.Equal(got, want) {
			t.Errorf("%d apps are due after %v, want %d", len(got), after, len(want))
		}
	}
	if got := m.due(now.Add(time.Minute)); !slices.Equal(got, apps[:3]) {
		t.Errorf("%d apps are due after a minute, want the three that sleep", len(got))
	}
}

// A host that rests is shown otherwise as soon as its rest is over, though nothing happens.
func TestTheEndOfARestIsShown(t *testing.T) {
	now := time.Now()
	f := New(Config{Master: silent{}, Store: store.New(storetest.NewMemory()), Log: slog.New(slog.DiscardHandler)})
	for range restAfter {
		f.model.hostDropped("h1", "no room", now)
	}
	during := f.reporter.snapshot(nil, now)
	if len(during.Info.Hosts) != 1 || during.Info.Hosts[0].Problem == "" || !f.out.wake.Equal(now.Add(restFirst)) {
		t.Fatalf("hosts are shown as %+v, and again at %v; want a host that rests until %v", during.Info.Hosts, f.out.wake, now.Add(restFirst))
	}
	if again := f.reporter.snapshot(during, now.Add(time.Second)); again != during {
		t.Errorf("while it rests, it is shown anew as %+v", again.Info.Hosts)
	}
	if after := f.reporter.snapshot(during, now.Add(restFirst)); after.Info.Hosts[0].Problem != "" {
		t.Errorf("after its rest it is shown as %+v", after.Info.Hosts[0])
	}
}
