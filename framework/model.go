package framework

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/store"
	"tombolo/internal/text"
	"tombolo/linker/record"
)

// model is everything that the framework knows: the wanted apps and the history of
// their slots, the tasks, the hosts, and the hosts that hold volumes. Only its methods
// change these, so that an index can be kept beside them. Each method adds what must
// survive a crash to the batch. The framework's goroutine owns the model.
type model struct {
	frameworkID string            // given by the master; "": none yet
	connected   bool              // subscribed to a master
	leader      string            // address of the leading master; "": none was connected yet
	revision    uint64            // the last one given to an app
	floors      map[string]uint64 // by app: the highest generation of its forgotten slots

	apps  map[string]*deployment
	tasks map[string]*task // by ID; none has ended as far as the framework knows
	hosts map[string]*host
	pins  map[string]string // volume -> host
	index index
	dirty dirty

	sleepers sleepers

	batch store.Batch
}

// deployment is a wanted app and what has become of it.
type deployment struct {
	store.App
	specs map[string]string // by service: the digest of the wanted spec
	slots map[deploy.SlotID]store.Slot

	// The planner and the reporter keep these between decisions.
	plan        deploy.Plan
	refusals    map[deploy.SlotID]string    // why a launch found no host in the last decision
	unplaceable map[deploy.SlotID]time.Time // since when all hosts refuse a launch for good; see place.Permanent
	shown       map[deploy.SlotID]shown
	wake        time.Time              // when to decide about the app again, even if nothing happens; zero: never
	sleeper     int                    // its position in the model's sleepers, unless wake is zero
	put         time.Time              // by a user, last; zero: before the framework started
	excused     map[deploy.SlotID]int  // tasks of a slot whose end is no failure of the app; see failureFinder
	lostVolume  map[deploy.SlotID]bool // slots whose launch waits because a volume is gone
	recreate    map[string]bool        // volumes that may be made anew if they are gone
}

func newModel() *model {
	return &model{
		floors: map[string]uint64{}, apps: map[string]*deployment{}, tasks: map[string]*task{},
		hosts: map[string]*host{}, pins: map[string]string{}, index: newIndex(), dirty: dirty{all: true, allHosts: true},
	}
}

func newDeployment(a store.App) *deployment {
	return &deployment{
		App: a, specs: deploy.Specs(a.Wanted),
		slots: map[deploy.SlotID]store.Slot{}, refusals: map[deploy.SlotID]string{},
		unplaceable: map[deploy.SlotID]time.Time{}, shown: map[deploy.SlotID]shown{}, excused: map[deploy.SlotID]int{},
		lostVolume: map[deploy.SlotID]bool{}, recreate: map[string]bool{},
	}
}

func (m *model) load(state *store.State) {
	m.frameworkID, m.revision, m.floors, m.pins = state.FrameworkID, state.Revision, state.Floors, state.Pins
	for name, a := range state.Apps {
		m.apps[name] = newDeployment(a)
		m.index.put(a.Wanted)
	}
	for key, slot := range state.Slots {
		for i, line := range slot.Log { // an earlier version kept whole lines
			slot.Log[i] = text.Shorten(line, maxLine)
		}
		if d := m.apps[key.App]; d != nil {
			d.slots[deploy.SlotID{Service: key.Service, Slot: key.Slot}] = slot
		}
	}
	for _, t := range state.Tasks {
		m.addTask(&task{Task: t})
	}
}

func (m *model) setFrameworkID(id string) {
	m.touchAll()
	m.frameworkID = id
	m.batch.SetFrameworkID(id)
}

// subscribed notes a new subscription. Kills that were on their way may have been lost
// with the one before.
func (m *model) subscribed(leader string) {
	m.touchAll()
	m.disconnected()
	m.connected = true
	m.leader = cmp.Or(leader, m.leader)
	for _, t := range m.tasks {
		t.killSent = time.Time{}
	}
}

// disconnected notes that the subscription is lost. Agents are unknown until they offer.
func (m *model) disconnected() {
	m.touchAll()
	m.connected = false
	for _, h := range m.hosts {
		h.agent = ""
	}
}

// putApp makes an app wanted, under a new revision.
func (m *model) putApp(wanted app.App, now time.Time) *deployment {
	m.touch(wanted.Name)
	m.dirty.market = true
	m.revision++
	m.batch.SetRevision(m.revision)
	stored := store.App{Wanted: wanted, Revision: m.revision, Put: now}
	m.batch.PutApp(stored)
	m.index.put(wanted)
	d := m.apps[wanted.Name]
	if d == nil {
		d = newDeployment(stored)
		m.apps[wanted.Name] = d
		return d
	}
	d.App, d.specs = stored, deploy.Specs(wanted)
	m.retryFailed(d, now)
	return d
}

// retryFailed makes failed slots start again at once: a user who puts an app again may
// have mended a cause outside of it.
func (m *model) retryFailed(d *deployment, now time.Time) {
	m.touch(d.Wanted.Name)
	d.put = now
	clear(d.recreate)
	clear(d.unplaceable)
	for id, slot := range d.slots {
		if slot.Outcome == "" || history(slot).Completed(d.specs[id.Service], d.Wanted.Services[id.Service].Restart) {
			continue
		}
		slot.Outcome, slot.Failures, slot.Fatal = "", 0, false
		m.putSlot(d, id, slot)
	}
}

// removeApp makes an app unwanted. Its tasks end before dropApp forgets it.
func (m *model) removeApp(d *deployment, forgetVolumes bool) {
	m.touch(d.Wanted.Name)
	m.dirty.market = true
	d.Removing, d.ForgetVolumes = true, d.ForgetVolumes || forgetVolumes
	m.batch.PutApp(d.App)
}

// dropApp forgets an app and its tasks. The tasks can only be lost ones: if their host
// comes back, the framework no longer knows them and kills them.
func (m *model) dropApp(d *deployment) {
	m.dirty.market = true
	for id := range m.index.apps[d.Wanted.Name] {
		m.deleteTask(id)
	}
	for id := range d.slots {
		m.forgetSlot(d, id)
	}
	if d.ForgetVolumes {
		m.unpinAll(d.Wanted.Volumes)
	}
	m.batch.DeleteApp(d.Wanted.Name)
	m.stopWaking(d)
	m.index.drop(d.Wanted.Name)
	delete(m.apps, d.Wanted.Name)
}

// history returns what package deploy needs of a slot.
func history(s store.Slot) deploy.Slot {
	return deploy.Slot{
		Generation: s.Generation, Host: s.Host, Outcome: deploy.Phase(s.Outcome), Spec: s.Spec,
		Ended: s.Ended, Failures: s.Failures, Reason: s.Reason, Unhealthy: s.Unhealthy,
	}
}

func (m *model) putSlot(d *deployment, id deploy.SlotID, slot store.Slot) {
	m.touch(d.Wanted.Name)
	d.slots[id] = slot
	m.batch.PutSlot(slot)
}

// forgetSlot forgets the history of a slot, except that generations go on from it.
func (m *model) forgetSlot(d *deployment, id deploy.SlotID) {
	m.touch(d.Wanted.Name)
	m.raiseFloor(d.Wanted.Name, d.slots[id].Generation)
	m.batch.DeleteSlot(store.SlotKey{App: d.Wanted.Name, Service: id.Service, Slot: id.Slot})
	delete(d.slots, id)
	delete(d.shown, id)
	delete(d.unplaceable, id)
	delete(d.excused, id)
}

func (m *model) raiseFloor(app string, generation uint64) {
	if generation > m.floors[app] {
		m.floors[app] = generation
		m.batch.PutFloor(app, generation)
	}
}

// raiseFloors makes new slots start above the generations of endpoints that are not ours.
// A framework whose store was lost may have left them, and a name answers with the highest
// generation only.
func (m *model) raiseFloors(endpoints []*record.Endpoint) {
	for _, e := range endpoints {
		if e.App == "" || e.Generation == 0 {
			continue
		}
		d := m.apps[e.App]
		if d == nil || d.slots[deploy.SlotID{Service: e.Service, Slot: e.Slot}].Generation == 0 {
			m.raiseFloor(e.App, e.Generation)
		}
	}
}

func taskID(slot store.SlotKey, generation uint64) string {
	return fmt.Sprintf("%s.%s.%d.g%d", slot.App, slot.Service, slot.Slot, generation)
}

// launch adds the task that fills a slot on a host.
func (m *model) launch(l launch, on string, now time.Time) *task {
	d, h := m.apps[l.app], m.hosts[on]
	service := d.Wanted.Services[l.Service]
	slot := d.slots[l.SlotID]
	if slot.Generation == 0 {
		slot.Born = l.Generation
	}
	t := &task{Task: store.Task{
		ID:  taskID(store.SlotKey{App: l.app, Service: l.Service, Slot: l.Slot}, l.Generation),
		App: l.app, Service: l.Service, Slot: l.Slot, Generation: l.Generation, Born: slot.Born, Spec: l.Spec,
		Agent: h.agent, Host: on, Ports: app.OfInstances(service.Ports), Volumes: localVolumes(d.Wanted, service),
		Phase: string(deploy.Launched), Since: now,
	}}
	m.addTask(t)
	m.batch.PutTask(t.Task)
	slot.App, slot.Service, slot.Slot = l.app, l.Service, l.Slot
	if slot.Host != on {
		slot.Kept = nil
	}
	slot.Generation, slot.Host = l.Generation, on
	m.putSlot(d, l.SlotID, slot)
	delete(d.unplaceable, l.SlotID)
	h.use(reservation(service))
	return t
}

func (m *model) kill(t *task, k deploy.Kill, now time.Time) {
	m.touch(t.App)
	m.index.killing[t.ID] = t
	t.Killing, t.Reason, t.killSent = true, k.Reason, now
	if k.Unhealthy {
		t.lastFinding = t.examined.finding
		t.KilledUnhealthySince = t.unhealthySince
	}
	m.batch.PutTask(t.Task)
}

// advance notes that a task has entered a phase in which it has not ended.
func (m *model) advance(t *task, phase deploy.Phase, agent string, now time.Time) {
	m.touch(t.App)
	changed := phase != t.phase()
	if agent != "" && agent != t.Agent {
		t.Agent, changed = agent, true
	}
	if phase != t.phase() {
		t.Phase, t.Since, t.Reason = string(phase), now, ""
	}
	switch {
	case phase == deploy.Lost:
		t.Reason = t.Host + " is unreachable"
		m.dirty.agents = true
	case phase == deploy.Running && t.Started.IsZero():
		t.Started = now
		m.pin(t)
		m.agentRuns(t.Host)
	}
	if changed { // an answer to a reconciliation changes nothing
		m.batch.PutTask(t.Task)
	}
}

// setContainer notes the name of a task's container in Docker.
func (m *model) setContainer(t *task, name string) {
	if t.Container != name {
		t.Container = name
		m.touch(t.App)
		m.batch.PutTask(t.Task)
	}
}

// keep notes which volumes of its slot a task's container has.
func (m *model) keep(t *task, names []string) {
	d := m.apps[t.App]
	if d == nil || len(names) == 0 {
		return
	}
	if slot := d.slots[t.slot()]; slot.Generation == t.Generation && !slices.Equal(slot.Kept, names) {
		slot.Kept = names
		m.putSlot(d, t.slot(), slot)
	}
}

// endTask notes in its slot how a task ended, unless a newer task has the slot, and
// forgets the task.
func (m *model) endTask(t *task, e end) {
	if d := m.apps[t.App]; d != nil {
		if slot := d.slots[t.slot()]; t.Generation >= slot.Generation {
			m.putSlot(d, t.slot(), slotAfter(slot, t, e, d.Wanted.Services[t.Service].Restart))
		}
	}
	m.deleteTask(t.ID)
}

func (m *model) deleteTask(id string) {
	if t := m.tasks[id]; t != nil {
		m.touch(t.App)
		m.touchHost(t.Host)
		m.dirty.market = true // its room and its ports are free
		m.index.remove(t)
	}
	m.batch.DeleteTask(id)
	delete(m.tasks, id)
}

// observe joins the tasks of apps with what the linkers know of them.
func (m *model) observe(l linkers, apps []*deployment, now time.Time) {
	up := l.up()
	for _, d := range apps {
		for _, t := range m.index.apps[d.Wanted.Name] {
			onOverlay := d.Wanted.Services[t.Service].NetworkMode == ""
			t.observe(up, now)
			m.wakeAt(d, t.judge(onOverlay && len(l) > 0, now))
			m.healed(d, t)
		}
	}
}

// healed notes that a task is up in a slot whose last one was unhealthy.
func (m *model) healed(d *deployment, t *task) {
	if slot := d.slots[t.slot()]; t.up && slot.Unhealthy && slot.Generation == t.Generation {
		slot.Unhealthy = false
		m.putSlot(d, t.slot(), slot)
	}
}

// sorted returns the values of m, ordered by their keys.
func sorted[V any](m map[string]V) (list []V) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[key])
	}
	return list
}
