package framework

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/store"
	"tombolo/linker/record"
)

// shown is the state in which an instance was last shown, and since when.
type shown struct {
	state api.State
	since time.Time
}

// publish makes the present state visible, when it differs from what is.
func (f *Framework) publish(now time.Time) {
	next := &api.Snapshot{Info: f.info(), Apps: map[string]api.Status{}, Spec: map[string]app.App{}}
	byApp := map[string][]*task{}
	for _, id := range slices.Sorted(maps.Keys(f.tasks)) {
		byApp[f.tasks[id].App] = append(byApp[f.tasks[id].App], f.tasks[id])
	}
	for name, d := range f.apps {
		next.Apps[name] = f.status(d, byApp[name], now)
		next.Spec[name] = d.App.App
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if reflect.DeepEqual(next, f.snapshot) {
		return
	}
	f.snapshot = next
	close(f.changed)
	f.changed = make(chan struct{})
}

// Snapshot implements api.Cluster.
func (f *Framework) Snapshot() (*api.Snapshot, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot, f.changed
}

func (f *Framework) info() api.Info {
	info := f.Config.Info
	info.Framework, info.Connected, info.Hosts = f.id, f.connected, nil
	info.Master = cmp.Or(info.Master, f.leader)
	tasks := map[string]int{}
	for _, t := range f.tasks {
		tasks[t.Host]++
	}
	for _, name := range slices.Sorted(maps.Keys(f.hosts)) {
		h := f.hosts[name]
		out := api.Host{Name: name, Agent: h.agent, CPUs: h.cpus, MemBytes: h.memory, Tasks: tasks[name], Linker: "unknown"}
		for _, w := range f.linkers {
			if w.snapshot == nil || w.snapshot.Hosts[name] == nil {
				continue
			}
			if known := w.snapshot.Hosts[name]; w.up || out.Underlay == "" {
				out.Underlay, out.Overlay = known.Underlay.String(), known.Overlay4.String()
			}
		}
		if len(f.linkers) > 0 {
			out.Linker = "up"
			if f.problem(h) != "" {
				out.Linker = "down"
			}
		}
		info.Hosts = append(info.Hosts, out)
	}
	return info
}

// status shows an app.
func (f *Framework) status(d *deployment, tasks []*task, now time.Time) api.Status {
	s := api.Status{App: d.App.App.Name, Revision: d.Revision, Removing: d.Removing, Up: !d.Removing, Warnings: f.warnings(d.App.App)}
	current := map[deploy.SlotID]*task{}
	extra := 0
	for _, t := range tasks {
		if t.Generation >= d.slots[t.slot()].Generation {
			current[t.slot()] = t
			continue
		}
		if t.phase().Live() {
			extra++
		}
	}
	s.Up = s.Up && extra == 0
	for _, id := range f.displayed(d, current) {
		i := f.instance(d, id, current[id], now)
		if last := d.shown[id]; last.state != i.State {
			d.shown[id] = shown{i.State, now}
		}
		i.Since = d.shown[id].since
		s.Instances = append(s.Instances, i)
		t := current[id]
		outdated := t != nil && t.Spec != d.specs[id.Service] && t.phase().Live()
		s.Up = s.Up && !outdated && (i.State == api.StateUp || i.State == api.StateDone)
	}
	if !d.Removing && !s.Up {
		s.Failed = cmp.Or(f.failure(d, s.Instances, now), f.sickness(d, current, now))
	}
	return s
}

// displayed are the wanted slots and those that have a task, in order.
func (f *Framework) displayed(d *deployment, current map[deploy.SlotID]*task) []deploy.SlotID {
	set := map[deploy.SlotID]bool{}
	for id := range current {
		set[id] = true
	}
	for id := range d.slots {
		set[id] = set[id] || !d.Removing
	}
	for name, service := range d.App.App.Services {
		for n := 1; n <= service.Replicas && !service.Global && !d.Removing; n++ {
			set[deploy.SlotID{Service: name, Slot: n}] = true
		}
	}
	for _, l := range d.plan.Launch {
		set[l.SlotID] = true
	}
	maps.DeleteFunc(set, func(_ deploy.SlotID, show bool) bool { return !show })
	return slices.SortedFunc(maps.Keys(set), func(a, b deploy.SlotID) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Slot, b.Slot))
	})
}

func (f *Framework) instance(d *deployment, id deploy.SlotID, t *task, now time.Time) api.Instance {
	slot := d.slots[id]
	i := api.Instance{
		App: d.App.App.Name, Service: id.Service, Slot: id.Slot, Generation: slot.Generation,
		Restarts: slot.Restarts, ExitCode: slot.ExitCode, Log: slot.Log,
	}
	if t != nil {
		f.showTask(&i, t, now)
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
		i.State, i.Reason = api.StateWaiting, cmp.Or(d.refuse[id], "waits for a host")
	}
	if t != nil && t.phase() == deploy.Lost {
		i.State = api.StateLost
		i.Reason = t.Reason
		if why := cmp.Or(d.refuse[id], wait.Reason); why != "" {
			i.Reason += "; " + why
		}
	}
	return i
}

// showTask shows a task that is alive or lost.
func (f *Framework) showTask(i *api.Instance, t *task, now time.Time) {
	i.Task, i.Host, i.Container, i.Started, i.Reason = t.ID, t.Host, t.Container, t.Started, t.Reason
	health := record.HealthNone
	if e := t.endpoint; e != nil {
		i.Address, i.Health, i.Ports = e.Addr4.String(), string(e.Health), hostPorts(e.Published)
		i.Container = cmp.Or(e.Container, i.Container)
		health = e.Health
	}
	switch {
	case t.Killing:
		i.State = api.StateStopping
	case t.phase() != deploy.Running:
		i.State = api.StateStaging
	case f.up(t, now):
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
	if slot.Host != "" && i.State != api.StateWaiting {
		i.Host = slot.Host
	}
}

// failure says why the app cannot come up without a change, or nothing. The
// framework goes on trying all the same.
func (f *Framework) failure(d *deployment, instances []api.Instance, now time.Time) string {
	for _, i := range instances {
		id := deploy.SlotID{Service: i.Service, Slot: i.Slot}
		slot := d.slots[id]
		name := fmt.Sprintf("%s.%d", i.Service, i.Slot)
		if since, stuck := d.stuck[id]; stuck && now.Sub(since) >= patience {
			return fmt.Sprintf("%s fits on no host: %s", name, d.refuse[id])
		}
		if slot.Spec != d.specs[id.Service] || i.State == api.StateUp || i.State == api.StateDone {
			continue
		}
		switch wait := d.plan.Wait[id]; {
		case wait.Kind == deploy.GaveUp && wait.Reason != "":
			return fmt.Sprintf("%s: %s", name, wait.Reason)
		case slot.Fatal:
			return fmt.Sprintf("%s: %s", name, slot.Reason)
		case slot.Failures >= deploy.FailedAfter:
			return fmt.Sprintf("%s: %s, %d times in a row", name, slot.Reason, slot.Failures)
		}
	}
	return ""
}

// sickness names an instance that has been unhealthy for too long to wait for it,
// and who waits for it all the same, or nothing.
func (f *Framework) sickness(d *deployment, current map[deploy.SlotID]*task, now time.Time) string {
	for _, id := range f.displayed(d, current) {
		t := current[id]
		if t == nil || t.ill.IsZero() {
			continue
		}
		if until := t.ill.Add(patience); now.Before(until) {
			f.wakeAt(until)
			continue
		}
		text := fmt.Sprintf("%s.%d is unhealthy", id.Service, id.Slot)
		if waiting := dependents(d, id.Service); len(waiting) > 0 {
			text += fmt.Sprintf(", and %s waits for it", strings.Join(waiting, ", "))
		}
		return text
	}
	return ""
}

// dependents are the services that wait for another to be healthy.
func dependents(d *deployment, on string) (names []string) {
	for id, wait := range d.plan.Wait {
		if wait.Kind == deploy.ForDependency && d.App.App.Services[id.Service].DependsOn[on].Condition == app.Healthy {
			names = append(names, id.Service)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
