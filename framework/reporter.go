package framework

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/store"
	"tombolo/linker/record"
)

// reporter makes the snapshots that the API shows.
type reporter struct {
	model   *model
	linkers linkers
	out     *outbox // for its wake-up
	info    api.Info
	changed map[string]bool // the apps that the last decision was about
}

// shown is the state in which an instance was last shown.
type shown struct {
	state api.State
	since time.Time
}

// snapshot returns the snapshot that follows before; nil: the first. It differs in what has
// changed. It is before itself if nothing has.
func (r *reporter) snapshot(before *api.Snapshot, now time.Time) *api.Snapshot {
	s := &api.Snapshot{Info: r.cluster(before, now)}
	if before != nil {
		s.Apps = before.Apps
	}
	same := before != nil && sameInfo(s.Info, before.Info)
	for name := range r.changed {
		shown, was := s.Apps.Get(name)
		d := r.model.apps[name]
		if d == nil {
			s.Apps, same = s.Apps.Without(name), same && !was
			continue
		}
		if status := r.status(d, r.model.tasksOf(name), now); !was || !reflect.DeepEqual(status, shown.Status) {
			s.Apps, same = s.Apps.With(api.App{Status: status, Spec: d.Wanted}), false
		}
	}
	if same {
		return before
	}
	return s
}

// sameInfo reports whether two descriptions of the cluster are equal. Those of cluster share the
// list of hosts if no host has changed.
func sameInfo(a, b api.Info) bool {
	if len(a.Hosts) != len(b.Hosts) || len(a.Hosts) > 0 && &a.Hosts[0] != &b.Hosts[0] && !slices.Equal(a.Hosts, b.Hosts) {
		return false
	}
	a.Hosts, b.Hosts = nil, nil
	return reflect.DeepEqual(a, b)
}

// cluster describes the cluster. Hosts that are not marked are shown as before.
func (r *reporter) cluster(before *api.Snapshot, now time.Time) api.Info {
	info := r.info
	info.Framework, info.Connected, info.Hosts = r.model.frameworkID, r.model.connected, nil
	info.Master = cmp.Or(info.Master, r.model.leader)
	marked, all := r.model.dirty.hosts, r.model.dirty.allHosts
	r.model.dirty.hosts, r.model.dirty.allHosts = nil, false
	if before == nil || all {
		for _, h := range sorted(r.model.hosts) {
			info.Hosts = append(info.Hosts, r.host(h, now))
		}
		return info
	}
	info.Hosts = before.Info.Hosts
	if len(marked) > 0 {
		info.Hosts = slices.Clone(info.Hosts)
	}
	for name := range marked {
		at, known := slices.BinarySearchFunc(info.Hosts, name, func(h api.Host, name string) int { return cmp.Compare(h.Name, name) })
		if known { // a task may be on a host that the framework does not know any more
			info.Hosts[at] = r.host(r.model.hosts[name], now)
		}
	}
	return info
}

func (r *reporter) host(h *host, now time.Time) api.Host {
	out := api.Host{Name: h.name, Agent: h.agent, CPUs: h.cpus, MemBytes: h.memory, Tasks: r.model.index.onHost[h.name], Linker: "unknown"}
	if known := r.linkers.hostRecord(h.name); known != nil {
		out.Underlay, out.Overlay = known.Underlay.String(), known.Overlay4.String()
	}
	if len(r.linkers) > 0 {
		out.Linker = "up"
		if r.linkers.problem(h.name) != "" {
			out.Linker = "down"
		}
	}
	if out.Problem = h.problem(now); out.Problem != "" {
		r.model.touchHost(h.name) // it is shown otherwise as soon as it does not rest any more
		r.out.wakeAt(h.rests)
	}
	return out
}

func (r *reporter) status(d *deployment, tasks []*task, now time.Time) api.Status {
	s := api.Status{
		App: d.Wanted.Name, Revision: d.Revision, Removing: d.Removing, Up: !d.Removing,
		Warnings: append(warnings(d.Wanted, r.linkers.catalog()), r.linkers.leftOut(d.Wanted, tasks)...),
	}
	current := map[deploy.SlotID]*task{}
	for _, t := range tasks {
		switch {
		case t.Generation >= d.slots[t.slot()].Generation:
			current[t.slot()] = t
		case t.phase().Live():
			s.Up = false // a newer task has its slot, and it has not ended yet
		}
	}
	for _, id := range displayed(d, current) {
		t := current[id]
		i := d.instance(id, t)
		if last := d.shown[id]; last.state != i.State {
			d.shown[id] = shown{i.State, now}
		}
		i.Since = d.shown[id].since
		s.Instances = append(s.Instances, i)
		outdated := t != nil && t.Spec != d.specs[id.Service] && t.phase().Live()
		// A lost task of a slot that is not wanted any more keeps nothing from being up.
		counts := d.plan.Wanted[id] || t != nil && t.phase().Live()
		s.Up = s.Up && (!counts || !outdated && (i.State == api.StateUp || i.State == api.StateDone))
	}
	if !d.Removing && !s.Up {
		f := failureFinder{d: d, instances: s.Instances, current: current, now: now, wakeAt: func(t time.Time) { r.model.wakeAt(d, t); r.out.wakeAt(t) }}
		f.excuse()
		s.Failed = f.failure()
	}
	s.Troubles = r.troubles(s.Instances)
	return s
}

// troubles names the hosts of instances that are not ready, as their linkers tell it. Without
// a linker that answers, nothing is known.
func (r *reporter) troubles(instances []api.Instance) (list []string) {
	c := r.linkers.first()
	if c == nil {
		return nil
	}
	hosts := map[string]bool{}
	for _, i := range instances {
		hosts[i.Host] = true
	}
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		if h := c.hosts[name]; h != nil && !c.snapshot.Suspended[h.Key()] {
			for _, trouble := range h.Troubles {
				list = append(list, fmt.Sprintf("host %s is not ready: %s", name, trouble))
			}
		}
	}
	return list
}

// displayed returns the wanted slots and those that have a task, in order.
func displayed(d *deployment, current map[deploy.SlotID]*task) []deploy.SlotID {
	set := map[deploy.SlotID]bool{}
	for id := range current {
		set[id] = true
	}
	if !d.Removing {
		maps.Copy(set, d.plan.Wanted)
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b deploy.SlotID) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Slot, b.Slot))
	})
}

// instance shows a slot and its current task, which may be nil.
func (d *deployment) instance(id deploy.SlotID, t *task) api.Instance {
	slot := d.slots[id]
	i := api.Instance{
		App: d.Wanted.Name, Service: id.Service, Slot: id.Slot, Generation: slot.Generation,
		Restarts: slot.Restarts, ExitCode: slot.ExitCode, Log: slot.Log,
	}
	if t != nil {
		showTask(&i, t)
		i.Ports = append(i.Ports, app.Ingress(d.Wanted.Services[id.Service].Ports)...)
	}
	wait, waits := d.plan.Wait[id]
	switch {
	case t != nil && (t.phase().Live() || !waits):
		if i.Reason == "" && waits && wait.Kind == deploy.ForTurn {
			i.Reason = wait.Reason
		}
	case waits:
		showWait(&i, wait, slot)
	default:
		i.State, i.Reason = api.StateWaiting, cmp.Or(d.refusals[id], "waits for a host")
	}
	if t != nil && t.phase() == deploy.Lost {
		i.State, i.Reason = api.StateLost, t.Reason
		if why := cmp.Or(d.refusals[id], wait.Reason); why != "" {
			i.Reason += "; " + why
		}
	}
	return i
}

// showTask shows a task that lives or is lost.
func showTask(i *api.Instance, t *task) {
	i.Task, i.Host, i.Container, i.Started, i.Reason = t.ID, t.Host, t.Container, t.Started, t.Reason
	health := record.HealthNone
	if e := t.endpoint; e != nil {
		i.Address, i.Health, i.Ports = e.Addr4.String(), string(e.Health), hostPorts(e.Published)
		i.Container = cmp.Or(e.Container, i.Container)
		health = e.Health
	}
	if t.shutOff && i.Reason == "" {
		i.Reason = "the linker of " + t.Host + " cannot read the container's labels (see there: tombolo linker status)"
	}
	i.Reason = cmp.Or(i.Reason, t.examined.finding)
	switch {
	case t.Killing:
		i.State = api.StateStopping
	case t.phase() != deploy.Running:
		i.State = api.StateStaging
	case t.up:
		i.State = api.StateUp
	case health == record.HealthUnhealthy:
		i.State = api.StateUnhealthy
	case health == record.HealthHealthy:
		i.State = api.StateHealthy
	default:
		i.State = api.StateRunning
	}
}

// showWait shows a slot without a task.
func showWait(i *api.Instance, wait deploy.Wait, slot store.Slot) {
	i.State, i.Reason, i.Host = api.StateWaiting, wait.Reason, ""
	switch wait.Kind {
	case deploy.Complete:
		i.State = api.StateDone
	case deploy.GaveUp:
		i.State = api.StateFailed
	case deploy.ForBackoff:
		i.State = api.StateFailed
		i.Reason = fmt.Sprintf("%s; starts again at %s", wait.Reason, wait.Until.Format(time.TimeOnly))
	case deploy.ForDependency, deploy.ForStop, deploy.ForHost, deploy.ForTurn:
	}
	if i.State != api.StateWaiting {
		i.Host = slot.Host
	}
}

// board shows the newest snapshot to other goroutines.
type board struct {
	mu       sync.Mutex
	snapshot *api.Snapshot // nil: the store is not loaded yet
	changed  chan struct{} // closed by the next snapshot
}

func newBoard() *board { return &board{changed: make(chan struct{})} }

// latest returns the snapshot that is shown; nil: none is.
func (b *board) latest() *api.Snapshot {
	s, _ := b.get()
	return s
}

// publish shows next, if it is another snapshot than the one before.
func (b *board) publish(next *api.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if next == b.snapshot {
		return
	}
	b.snapshot = next
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *board) get() (*api.Snapshot, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.snapshot, b.changed
}

// warnings names the links of an app to other apps that lead nowhere now. They are no
// errors, because the other app may come, or export its service, at any time. Without a
// catalog there are no warnings.
func warnings(wanted app.App, catalog *record.Snapshot) (list []string) {
	if catalog == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(wanted.Services)) {
		for _, l := range wanted.Services[name].Links {
			if l.App == "" || l.App == wanted.Name {
				continue
			}
			switch exists, exported := lookUp(catalog, l, wanted.Name); {
			case !exists:
				list = append(list, fmt.Sprintf("%s links to service %s of app %s, which is not there", name, l.Service, l.App))
			case !exported:
				list = append(list, fmt.Sprintf("%s links to service %s of app %s, whose file does not export it to %s", name, l.Service, l.App, wanted.Name))
			}
		}
	}
	return list
}

// lookUp reports whether the service that a link leads to exists, and whether it is
// exported to the app with the link. Containers that the framework did not launch have
// no app record, only endpoints, each with an export of its own.
func lookUp(s *record.Snapshot, l app.Link, from string) (exists, exported bool) {
	other, service := record.Normal(l.App), record.Normal(l.Service)
	for name, a := range s.Apps {
		for n, spec := range a.Services {
			if record.Normal(name) == other && record.Normal(n) == service {
				return true, spec.Export.Allows(from)
			}
		}
	}
	for _, e := range s.Endpoints {
		if record.Normal(e.App) == other && record.Normal(e.Service) == service {
			exists, exported = true, exported || e.Export.Allows(from)
		}
	}
	return exists, exported
}
