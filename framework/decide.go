package framework

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/place"
	"tombolo/framework/store"
)

// instance names a slot of any app.
type instance struct {
	app string
	deploy.SlotID
}

// launch is a slot that should get a task now.
type launch struct {
	app string
	deploy.Launch
}

func (l launch) instance() instance { return instance{l.app, l.SlotID} }

// decide plans every app, finds hosts for what is to be launched, and repeats
// what had no effect.
func (f *Framework) decide(now time.Time) {
	f.assess(now)
	f.expunge(now)
	byApp := map[string][]*task{}
	for _, id := range slices.Sorted(maps.Keys(f.tasks)) {
		byApp[f.tasks[id].App] = append(byApp[f.tasks[id].App], f.tasks[id])
	}
	var launches []launch
	for _, name := range slices.Sorted(maps.Keys(f.apps)) {
		d := f.apps[name]
		d.plan = deploy.Next(f.picture(d, byApp[name], now), now)
		launches = append(launches, f.carryOut(d, now)...)
	}
	f.trade(launches, now)
	f.killAgain(now)
	f.ask(now)
	f.record()
}

// picture is an app as deploy sees it.
func (f *Framework) picture(d *deployment, tasks []*task, now time.Time) deploy.State {
	in := deploy.State{
		Wanted: d.App.App, Removing: d.Removing, Specs: d.specs, GenerationFloor: f.floors[d.App.App.Name],
		Slots: map[deploy.SlotID]deploy.Slot{}, Present: map[string][]string{},
	}
	for id, s := range d.slots {
		in.Slots[id] = deploy.Slot{
			Generation: s.Generation, Host: s.Host, Outcome: deploy.Phase(s.Outcome), Spec: s.Spec,
			Ended: s.Ended, Failures: s.Failures, Reason: s.Reason,
		}
	}
	for _, t := range tasks {
		in.Tasks = append(in.Tasks, deploy.Task{
			ID: t.ID, SlotID: t.slot(), Generation: t.Generation, Spec: t.Spec, Host: t.Host,
			Phase: t.phase(), Up: f.up(t, now), Killing: t.Killing, UnhealthySince: t.ill,
		})
	}
	for name, service := range d.App.App.Services {
		if service.Global {
			in.Present[name] = f.present(service, tasks)
		}
	}
	return in
}

// present are the hosts that a global service should be on: those that could take
// it now, and those where it is.
func (f *Framework) present(service app.Service, tasks []*task) []string {
	on := map[string]bool{}
	for name, h := range f.hosts {
		if h.agent != "" && f.problem(h) == "" && place.Eligible(place.Host{Name: name, Attributes: h.attributes}, service.Constraints) {
			on[name] = true
		}
	}
	for _, t := range tasks {
		if t.Service == service.Name && t.phase().Live() {
			on[t.Host] = true
		}
	}
	return slices.Sorted(maps.Keys(on))
}

func (f *Framework) carryOut(d *deployment, now time.Time) (launches []launch) {
	for _, k := range d.plan.Kill {
		f.kill(f.tasks[k.Task], k, now)
	}
	for _, id := range d.plan.Forget {
		f.forget(d, id)
	}
	if !d.plan.Wake.IsZero() {
		f.wakeAt(d.plan.Wake)
	}
	clear(d.refuse)
	for _, l := range d.plan.Launch {
		launches = append(launches, launch{d.App.App.Name, l})
	}
	if d.plan.Removed {
		f.bury(d)
	}
	return launches
}

func (f *Framework) kill(t *task, k deploy.Kill, now time.Time) {
	f.Log.Info("ending task", "task", t.ID, "host", t.Host, "reason", k.Reason)
	t.Killing, t.Reason, t.killSent = true, k.Reason, now
	if k.Unhealthy {
		t.Sick = t.ill
	}
	f.batch.PutTask(t.Task)
	f.call(calls.Kill(t.ID, t.Agent))
}

// killAgain repeats the kills that have had no effect.
func (f *Framework) killAgain(now time.Time) {
	if !f.connected {
		return
	}
	for _, t := range f.tasks {
		if !t.Killing || !t.phase().Live() || t.ending != nil {
			continue
		}
		if due := t.killSent.Add(killAgain); now.Before(due) {
			f.wakeAt(due)
			continue
		}
		t.killSent = now
		f.wakeAt(now.Add(killAgain))
		f.call(calls.Kill(t.ID, t.Agent))
	}
}

func (f *Framework) forget(d *deployment, id deploy.SlotID) {
	f.raise(d.App.App.Name, d.slots[id].Generation)
	f.batch.DeleteSlot(store.SlotKey{App: d.App.App.Name, Service: id.Service, Slot: id.Slot})
	delete(d.slots, id)
	delete(d.shown, id)
	delete(d.stuck, id)
}

// raise makes new slots of an app start above a generation.
func (f *Framework) raise(app string, generation uint64) {
	if generation > f.floors[app] {
		f.floors[app] = generation
		f.batch.PutFloor(app, generation)
	}
}

// bury forgets an app of which nothing is left. Tasks lost with their host are
// forgotten with it: they are strangers should they come back, and killed.
func (f *Framework) bury(d *deployment) {
	name := d.App.App.Name
	for id, t := range f.tasks {
		if t.App == name {
			f.batch.DeleteTask(id)
			delete(f.tasks, id)
		}
	}
	for _, id := range slices.Collect(maps.Keys(d.slots)) {
		f.forget(d, id)
	}
	if d.Volumes {
		f.unpin(d.App.App)
	}
	f.batch.DeleteApp(name)
	delete(f.apps, name)
	f.entomb(name)
	f.Log.Info("app removed", "app", name)
}

// trade finds hosts for launches among the offers.
func (f *Framework) trade(launches []launch, now time.Time) {
	if len(launches) == 0 || !f.connected {
		for _, l := range launches {
			f.apps[l.app].refuse[l.SlotID] = "no connection to the master"
		}
		f.giveBack(false, now)
		return
	}
	if !f.seek(launches, now) {
		for _, l := range launches {
			f.apps[l.app].refuse[l.SlotID] = "waits for offers"
		}
		return
	}
	requests := make([]place.Request, len(launches))
	for i, l := range launches {
		requests[i] = f.request(l)
	}
	result := place.Place(f.situation(), requests)
	infos := map[string][]mesos.TaskInfo{}
	for _, a := range result.Assigned {
		infos[a.Host] = append(infos[a.Host], f.start(launches[a.Request], a, now))
	}
	for _, name := range slices.Sorted(maps.Keys(infos)) {
		f.accept(name, infos[name])
	}
	for i, refusals := range result.Refused {
		f.refused(launches[i], refusals, now)
	}
	f.giveBack(len(result.Refused) > 0, now)
}

func (f *Framework) refused(l launch, refusals []place.Refusal, now time.Time) {
	d := f.apps[l.app]
	d.refuse[l.SlotID] = place.Summary(refusals)
	if !place.Permanent(refusals) {
		delete(d.stuck, l.SlotID)
		return
	}
	if d.stuck[l.SlotID].IsZero() {
		d.stuck[l.SlotID] = now
	}
	if until := d.stuck[l.SlotID].Add(patience); now.Before(until) {
		f.wakeAt(until)
	}
}

func (f *Framework) request(l launch) place.Request {
	service := f.apps[l.app].App.App.Services[l.SlotID.Service]
	r := reservation(service)
	avoid := ""
	if last := f.apps[l.app].slots[l.SlotID]; last.Failures > 0 {
		avoid = last.Host
	}
	return place.Request{
		App: l.app, Service: service.Name, Slot: l.SlotID.Slot,
		CPUs: r.cpus, MemBytes: r.memory, Ports: service.Ports, ExclusivePorts: service.NetworkMode != "",
		Volumes: f.tied(l.app, service), Constraints: service.Constraints, Host: l.Host, Avoid: avoid,
	}
}

// start makes the task that an assignment stands for, and stores it.
func (f *Framework) start(l launch, a place.Assignment, now time.Time) mesos.TaskInfo {
	d := f.apps[l.app]
	service := d.App.App.Services[l.SlotID.Service]
	id := l.SlotID
	t := &task{Task: store.Task{
		ID:  fmt.Sprintf("%s.%s.%d.g%d", l.app, id.Service, id.Slot, l.Generation),
		App: l.app, Service: id.Service, Slot: id.Slot, Generation: l.Generation, Spec: l.Spec,
		Agent: f.hosts[a.Host].agent, Host: a.Host, Ports: service.Ports, Volumes: f.tied(l.app, service),
		Phase: string(deploy.Launched), Since: now,
	}}
	f.Log.Info("launching task", "task", t.ID, "host", t.Host)
	f.tasks[t.ID] = t
	f.batch.PutTask(t.Task)
	slot := d.slots[id]
	slot.App, slot.Service, slot.Slot = l.app, id.Service, id.Slot
	slot.Generation, slot.Host = l.Generation, a.Host
	d.slots[id] = slot
	f.batch.PutSlot(slot)
	delete(d.stuck, id)
	r := reservation(service)
	h := f.hosts[a.Host]
	h.cpus, h.memory = thousandths(h.cpus-r.cpus), h.memory-r.memory
	return taskInfo(t, d.App.App, f.Resolver, a.OfferedPorts)
}

// situation is the cluster as place sees it.
func (f *Framework) situation() place.Cluster {
	s := place.Cluster{Pins: f.homes()}
	offers := map[string][]*offer{}
	for _, id := range slices.Sorted(maps.Keys(f.offers)) {
		offers[f.offers[id].host] = append(offers[f.offers[id].host], f.offers[id])
	}
	for _, name := range slices.Sorted(maps.Keys(f.hosts)) {
		h := f.hosts[name]
		in := place.Host{
			Name: name, CPUs: h.cpus, MemBytes: h.memory, Attributes: h.attributes,
			Offered: len(offers[name]) > 0, Problem: f.problem(h),
		}
		for _, o := range offers[name] {
			in.Ports = append(in.Ports, o.ports...)
		}
		s.Hosts = append(s.Hosts, in)
	}
	for _, id := range slices.Sorted(maps.Keys(f.tasks)) {
		t := f.tasks[id]
		s.Instances = append(s.Instances, place.Instance{App: t.App, Service: t.Service, Host: t.Host})
		s.Taken = append(s.Taken, t.taken()...)
	}
	s.Taken = append(s.Taken, f.foreignPorts()...)
	slices.SortStableFunc(s.Taken, func(a, b place.Taken) int { return cmp.Compare(a.Holder, b.Holder) })
	return s
}
