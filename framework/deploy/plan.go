package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tombolo/framework/app"
)

// Next returns what happens next to an app.
func Next(in State, now time.Time) Plan {
	p := newPlanner(in, now)
	if in.Removing {
		p.remove()
		return p.plan
	}
	p.killSurplus()
	for _, name := range startOrder(in.Wanted) {
		p.service(in.Wanted.Services[name])
	}
	return p.plan
}

// planner makes one plan.
type planner struct {
	in    State
	now   time.Time
	specs map[string]string
	slots map[string][]target // wanted slots, by service
	tasks map[SlotID][]*Task
	plan  Plan
}

// target is a wanted slot.
type target struct {
	SlotID
	host string // the only host that may run it, of a global service; "": any host
}

func newPlanner(in State, now time.Time) *planner {
	p := &planner{
		in: in, now: now, specs: in.Specs,
		slots: map[string][]target{}, tasks: map[SlotID][]*Task{},
		plan: Plan{Wanted: map[SlotID]bool{}, Wait: map[SlotID]Wait{}},
	}
	if p.specs == nil {
		p.specs = Specs(in.Wanted)
	}
	for i := range in.Tasks {
		t := &in.Tasks[i]
		p.tasks[t.SlotID] = append(p.tasks[t.SlotID], t)
	}
	for name, service := range in.Wanted.Services {
		if service.Global {
			p.slots[name] = p.globalSlots(service)
			continue
		}
		for n := 1; n <= service.Replicas; n++ {
			p.slots[name] = append(p.slots[name], target{SlotID: SlotID{name, n}})
		}
	}
	return p
}

// globalSlots gives each host of a global service a slot: the one that it has, or the
// lowest number that is free. A host whose task is over keeps its slot even while the
// host is away. Otherwise the task would start again when the host comes back.
func (p *planner) globalSlots(service app.Service) []target {
	name := service.Name
	hosts := map[string]bool{}
	for _, host := range p.in.Present[name] {
		hosts[host] = true
	}
	numbers := map[string]int{} // by host
	used := map[int]bool{}
	for id, slot := range p.in.Slots {
		if id.Service != name {
			continue
		}
		if slot.over(p.specs[name], service.Restart) {
			hosts[slot.Host] = true
		}
		used[id.Slot] = true
		if n, ok := numbers[slot.Host]; !ok || id.Slot < n {
			numbers[slot.Host] = id.Slot
		}
	}
	var list []target
	next := 1
	for _, host := range sorted(hosts) {
		n, ok := numbers[host]
		if !ok {
			for used[next] {
				next++
			}
			n, used[next] = next, true
		}
		list = append(list, target{SlotID{name, n}, host})
	}
	return list
}

// remove kills all tasks, each service before its dependencies. It does not count lost
// tasks: they cannot be killed now, and are killed when they come back.
func (p *planner) remove() {
	live := map[string]bool{} // services with live tasks
	for _, t := range p.in.Tasks {
		if t.Phase.Live() {
			live[t.Service] = true
		}
	}
	p.plan.Removed = len(live) == 0
	needed := map[string]bool{}
	for name, service := range p.in.Wanted.Services {
		for dependency := range service.DependsOn {
			needed[dependency] = needed[dependency] || live[name]
		}
	}
	for i := range p.in.Tasks {
		if t := &p.in.Tasks[i]; t.Phase.Live() && !needed[t.Service] {
			p.kill(t, "the app is being removed")
		}
	}
}

func (p *planner) kill(t *Task, reason string) {
	if !t.Killing {
		p.plan.Kill = append(p.plan.Kill, Kill{Task: t.ID, Reason: reason})
	}
}

// killSurplus kills tasks without a wanted slot, and those that a newer generation has
// replaced. It forgets slots that are not wanted and have no task, unless they are a global
// service's on a host that may come back.
func (p *planner) killSurplus() {
	wanted := p.plan.Wanted
	for _, list := range p.slots {
		for _, s := range list {
			wanted[s.SlotID] = true
		}
	}
	for i := range p.in.Tasks {
		switch t := &p.in.Tasks[i]; {
		case !t.Phase.Live():
		case !wanted[t.SlotID]:
			p.kill(t, "no longer wanted")
		case t.Generation < p.in.Slots[t.SlotID].Generation:
			p.kill(t, "a newer generation has its slot")
		}
	}
	for id, slot := range p.in.Slots {
		returns := p.in.Wanted.Services[id.Service].Global && p.in.Known != nil && p.in.Known(slot.Host)
		if !wanted[id] && !returns && len(p.tasks[id]) == 0 {
			p.plan.Forget = append(p.plan.Forget, id)
		}
	}
	slices.SortFunc(p.plan.Forget, func(a, b SlotID) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Slot, b.Slot))
	})
}

// service plans the slots of a service, and then whether a task that is unhealthy, or
// runs an old spec, is replaced.
func (p *planner) service(service app.Service) {
	var old, current []*Task
	settled := true
	for _, slot := range p.slots[service.Name] {
		task, fine := p.slot(service, slot)
		if task != nil && !task.Killing && task.Spec != p.specs[service.Name] {
			old = append(old, task)
			continue
		}
		if task != nil {
			current = append(current, task)
		}
		settled = settled && fine
	}
	p.replaceUnhealthy(service, current)
	p.rollOut(service, old, settled)
}

// slot plans one slot. It returns the live task that fills it, or nil, and whether the
// slot needs nothing: the task is up, or the slot's work is complete.
func (p *planner) slot(service app.Service, slot target) (current *Task, fine bool) {
	history := p.in.Slots[slot.SlotID]
	var lost, older *Task
	for _, t := range p.tasks[slot.SlotID] {
		switch newest := t.Generation >= history.Generation; {
		case newest && t.Phase.Live():
			current = t
		case newest && t.Phase == Lost:
			lost = t
		case t.Phase.Live():
			older = t
		}
	}
	switch {
	case current != nil && current.Killing:
		p.wait(slot.SlotID, Wait{Kind: ForStop, Reason: "stopping"})
	case current != nil:
		return current, current.Up
	case lost != nil && service.NeverReplace:
		p.wait(slot.SlotID, Wait{Kind: ForHost, Reason: fmt.Sprintf("%s is unreachable, and the service is never replaced", lost.Host)})
	case older != nil:
		p.wait(slot.SlotID, Wait{Kind: ForStop, Reason: "an earlier task ends first"})
	default:
		return nil, p.fill(service, slot, lost)
	}
	return current, false
}

// fill launches a task in a slot without a live one, or says what the slot waits for. It
// reports whether the slot's work is complete. lost is the slot's lost task, or nil.
func (p *planner) fill(service app.Service, slot target, lost *Task) (complete bool) {
	history, spec := p.in.Slots[slot.SlotID], p.specs[service.Name]
	restart := history.Outcome != "" && history.Spec == spec
	if lost != nil {
		restart = lost.Spec == spec
	}
	if restart && lost == nil {
		if wait, waits := history.restartWait(service.Restart, p.now); waits {
			p.wait(slot.SlotID, wait)
			return wait.Kind == Complete
		}
	}
	if reason := p.unmet(service); !restart && reason != "" { // dependencies hold for first starts only
		p.wait(slot.SlotID, Wait{Kind: ForDependency, Reason: reason})
		return false
	}
	last := history.Generation
	if last == 0 {
		last = p.in.GenerationFloor
	}
	p.plan.Launch = append(p.plan.Launch, Launch{SlotID: slot.SlotID, Spec: spec, Host: slot.host, Generation: last + 1})
	return false
}

func (p *planner) wait(slot SlotID, wait Wait) {
	p.plan.Wait[slot] = wait
	if !wait.Until.IsZero() {
		p.wake(wait.Until)
	}
}

func (p *planner) wake(at time.Time) {
	if p.plan.Wake.IsZero() || at.Before(p.plan.Wake) {
		p.plan.Wake = at
	}
}

// rollOut kills one task of an old spec, if the other slots of the service are settled
// and its dependencies are met. A task that is not up comes first.
func (p *planner) rollOut(service app.Service, old []*Task, settled bool) {
	if len(old) == 0 {
		return
	}
	const turn = "waits for its turn to be replaced"
	reason := p.unmet(service)
	if reason == "" && settled {
		next := max(slices.IndexFunc(old, func(t *Task) bool { return !t.Up }), 0)
		p.kill(old[next], "its service has changed")
		old = slices.Delete(old, next, next+1)
	}
	for _, t := range old {
		p.wait(t.SlotID, Wait{Kind: ForTurn, Reason: cmp.Or(reason, turn)})
	}
}
