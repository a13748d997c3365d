package framework

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/offers"
	"tombolo/framework/place"
)

const (
	killRetry = 15 * time.Second // before a KILL without effect is repeated
	patience  = 10 * time.Second // an obstacle that lasts longer makes the app count as failed
)

// planner decides which tasks are launched and killed, and where they run.
type planner struct {
	model   *model
	linkers linkers
	offers  *offers.Book
	volumes *volumeGuard
	out     *outbox
	log     *slog.Logger

	waiting map[string]bool // apps whose plan has launches
	again   time.Time       // when to look for hosts again, even if nothing changes; zero: only then
}

// launch is a slot that gets a task as soon as a host is found.
type launch struct {
	app string
	deploy.Launch
}

// plan plans the apps that are due, finds hosts for new tasks and repeats kills without
// effect. It returns the names of the apps that may have changed, and of those that are
// removed completely.
func (p *planner) plan(due []*deployment, now time.Time) (changed map[string]bool, removed []string) {
	changed = map[string]bool{}
	for _, d := range due {
		name := d.Wanted.Name
		changed[name] = true
		p.planApp(d, now)
		if d.plan.Removed {
			p.model.dropApp(d)
			removed = append(removed, name)
		}
		if waits := len(d.plan.Launch) > 0 && !d.plan.Removed; waits || p.waiting[name] {
			p.model.dirty.market = true
			p.wait(name, waits)
		}
	}
	p.placeAndAccept(changed, now)
	p.repeatKills(now)
	return changed, removed
}

// wait notes whether instances of an app need a host.
func (p *planner) wait(app string, waits bool) {
	if p.waiting == nil {
		p.waiting = map[string]bool{}
	}
	if p.waiting[app] = true; !waits {
		delete(p.waiting, app)
	}
}

func (p *planner) planApp(d *deployment, now time.Time) {
	d.plan = deploy.Next(p.deployInput(d, p.model.tasksOf(d.Wanted.Name)), now)
	for _, k := range d.plan.Kill {
		p.kill(p.model.tasks[k.Task], k, now)
	}
	for _, id := range d.plan.Forget {
		p.model.forgetSlot(d, id)
	}
	p.model.wakeAt(d, d.plan.Wake)
	clear(d.refusals)
	clear(d.lostVolume)
}

func (p *planner) deployInput(d *deployment, tasks []*task) deploy.State {
	in := deploy.State{
		Wanted: d.Wanted, Removing: d.Removing, Specs: d.specs, GenerationFloor: p.model.floors[d.Wanted.Name],
		Slots: map[deploy.SlotID]deploy.Slot{}, Present: map[string][]string{},
		Known: func(host string) bool { return p.model.hosts[host] != nil },
	}
	for id, s := range d.slots {
		in.Slots[id] = history(s)
	}
	for _, t := range tasks {
		in.Tasks = append(in.Tasks, deploy.Task{
			ID: t.ID, SlotID: t.slot(), Generation: t.Generation, Spec: t.Spec, Host: t.Host,
			Phase: t.phase(), Up: t.up, Killing: t.Killing, UnhealthySince: t.unhealthySince, KilledUnhealthy: !t.KilledUnhealthySince.IsZero(),
		})
	}
	for name, service := range d.Wanted.Services {
		if service.Global {
			in.Present[name] = p.globalHosts(service, tasks)
		}
	}
	return in
}

// globalHosts returns the hosts for a global service: those that could take a task of
// it now, and those that have a live one.
func (p *planner) globalHosts(service app.Service, tasks []*task) []string {
	hosts := map[string]bool{}
	for name, h := range p.model.hosts {
		if h.agent != "" && p.linkers.problem(name) == "" &&
			place.Eligible(place.Host{Name: name, Attributes: h.attributes}, service.Constraints) {
			hosts[name] = true
		}
	}
	for _, t := range tasks {
		if t.Service == service.Name && t.phase().Live() {
			hosts[t.Host] = true
		}
	}
	return slices.Sorted(maps.Keys(hosts))
}

func (p *planner) kill(t *task, k deploy.Kill, now time.Time) {
	p.log.Info("ending task", "task", t.ID, "host", t.Host, "reason", k.Reason)
	p.model.kill(t, k, now)
	p.out.call(calls.Kill(t.ID, t.Agent))
}

func (p *planner) repeatKills(now time.Time) {
	if !p.model.connected {
		return
	}
	for _, t := range p.model.index.killing {
		if !t.Killing || !t.phase().Live() || t.ending != nil {
			continue
		}
		if !now.Before(t.killSent.Add(killRetry)) {
			t.killSent = now
			p.out.call(calls.Kill(t.ID, t.Agent))
		}
		p.out.wakeAt(t.killSent.Add(killRetry))
	}
}

// placeAndAccept finds hosts for the instances that wait for one, if anything has changed
// since it last did. It adds their apps to changed.
func (p *planner) placeAndAccept(changed map[string]bool, now time.Time) {
	if !p.model.dirty.market && (p.again.IsZero() || now.Before(p.again)) {
		p.out.wakeAt(p.again)
		return
	}
	p.model.dirty.market = false
	var launches []launch
	for _, name := range slices.Sorted(maps.Keys(p.waiting)) {
		d := p.model.apps[name]
		changed[name] = true
		clear(d.refusals)
		clear(d.lostVolume)
		for _, l := range d.plan.Launch {
			launches = append(launches, launch{name, l})
		}
	}
	wake := p.out.wake
	p.out.wake = time.Time{}
	p.useOffers(p.volumes.hold(launches, now), now)
	p.again = p.out.wake
	p.out.wakeAt(wake)
}

// useOffers finds hosts for launches, accepts their offers and declines those that nothing
// uses.
func (p *planner) useOffers(launches []launch, now time.Time) {
	if !p.model.connected {
		p.refuseAll(launches, "no connection to the master")
		return
	}
	demand := offers.Demand{EveryHost: p.wantsEveryHost()}
	if len(launches) > 0 {
		if !p.reviveOffers(launches, now) {
			p.refuseAll(launches, "waits for offers")
			return
		}
		demand.Unplaced, demand.Near = p.place(launches, now)
	}
	p.out.do(p.offers.DeclineIdle(demand, now))
}

// place launches the tasks for which an offer has room. It reports whether others are left,
// and on which hosts these nearly fit.
func (p *planner) place(launches []launch, now time.Time) (unplaced bool, near map[string]bool) {
	requests := make([]place.Request, len(launches))
	for i, l := range launches {
		requests[i] = p.request(l, now)
	}
	result := place.Place(p.cluster(now), requests)
	infos := map[string][]mesos.TaskInfo{}
	for _, a := range result.Assigned {
		l := launches[a.Request]
		t := p.model.launch(l, a.Host, now)
		p.log.Info("launching task", "task", t.ID, "host", t.Host)
		infos[a.Host] = append(infos[a.Host], taskInfo(t, p.linkers.forHost(p.model.apps[l.app].Wanted, l.Service, a.Host), len(p.linkers) > 0, a.OfferedPorts))
	}
	for _, host := range slices.Sorted(maps.Keys(infos)) {
		p.out.do(p.offers.Accept(host, p.model.hosts[host].agent, infos[host]))
	}
	for i, refusals := range result.Refused {
		p.refuse(launches[i], refusals, now)
	}
	return len(result.Refused) > 0, result.Near
}

// reviveOffers asks for the offers that launches need, and reports whether they are there.
func (p *planner) reviveOffers(launches []launch, now time.Time) bool {
	instances := make([]offers.Instance, len(launches))
	for i, l := range launches {
		instances[i] = offers.Instance{App: l.app, Service: l.Service, Slot: l.Slot}
	}
	var usable []string
	for name := range p.model.hosts {
		if p.problem(name, now) == "" {
			usable = append(usable, name)
		}
	}
	ready, actions := p.offers.ReviveOffers(instances, usable, now)
	p.out.do(actions)
	return ready
}

func (p *planner) wantsEveryHost() bool {
	for name := range p.model.index.global {
		if !p.model.apps[name].Removing {
			return true
		}
	}
	return false
}

// refuseAll notes why the planner looks for no host now.
func (p *planner) refuseAll(launches []launch, reason string) {
	for _, l := range launches {
		p.model.apps[l.app].refusals[l.SlotID] = reason
	}
}

// refuse notes why no host takes a launch and, if no offer can change that, since when.
func (p *planner) refuse(l launch, refusals []place.Refusal, now time.Time) {
	d := p.model.apps[l.app]
	d.refusals[l.SlotID] = place.Summary(refusals)
	if !place.Permanent(refusals) {
		delete(d.unplaceable, l.SlotID)
		return
	}
	if d.unplaceable[l.SlotID].IsZero() {
		d.unplaceable[l.SlotID] = now
	}
	if until := d.unplaceable[l.SlotID].Add(patience); now.Before(until) {
		p.out.wakeAt(until)
	}
}

func (p *planner) request(l launch, now time.Time) place.Request {
	d := p.model.apps[l.app]
	service := d.Wanted.Services[l.Service]
	r := reservation(service)
	avoid := ""
	if last := d.slots[l.SlotID]; last.Failures > 0 {
		avoid = last.Host
	}
	host := l.Host
	if keeper := p.keeper(d.slots[l.SlotID], service, now); host == "" && keeper != "" {
		host, avoid = keeper, ""
	}
	return place.Request{
		App: l.app, Service: service.Name, Slot: l.Slot,
		CPUs: r.cpus, MemBytes: r.memory, Ports: app.OfInstances(service.Ports), ExclusivePorts: service.NetworkMode != "",
		Volumes: localVolumes(d.Wanted, service), Constraints: service.Constraints, Host: host, Avoid: avoid,
	}
}

// problem says why a host can take no task now; "" if it can.
func (p *planner) problem(host string, now time.Time) string {
	h := p.model.hosts[host]
	if now.Before(h.rests) {
		p.out.wakeAt(h.rests)
	}
	return cmp.Or(p.linkers.problem(host), h.problem(now))
}

func (p *planner) cluster(now time.Time) place.Cluster {
	s := place.Cluster{Pins: p.model.volumeHosts()}
	for _, h := range sorted(p.model.hosts) {
		in := place.Host{Name: h.name, CPUs: h.cpus, MemBytes: h.memory, Attributes: h.attributes, Problem: p.problem(h.name, now)}
		if free, ok := p.offers.Free(h.name, h.agent); ok {
			in.Offered, in.CPUs, in.MemBytes, in.Ports = true, free.CPUs, free.MemBytes, free.Ports
		}
		s.Hosts = append(s.Hosts, in)
	}
	for _, t := range sorted(p.model.tasks) {
		s.Instances = append(s.Instances, place.Instance{App: t.App, Service: t.Service, Host: t.Host})
		s.Taken = append(s.Taken, t.taken()...)
	}
	s.Taken = append(s.Taken, p.linkers.foreignPorts(p.model.tasks)...)
	s.Taken = append(s.Taken, p.model.ingressPorts()...)
	slices.SortStableFunc(s.Taken, func(a, b place.Taken) int { return cmp.Compare(a.Holder, b.Holder) })
	return s
}
