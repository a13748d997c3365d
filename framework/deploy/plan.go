package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tombolo/framework/app"
)

// Next decides what comes next for the app.
func Next(in State, now time.Time) Plan {
	p := newPlanner(in, now)
	if in.Removing {
		p.remove()
		return p.plan
	}
	p.retire()
	for _, name := range order(in.Wanted) {
		p.service(in.Wanted.Services[name])
	}
	return p.plan
}

type planner struct {
	in    State
	now   time.Time
	specs map[string]string
	slots map[string][]target // wanted, by service
	tasks map[SlotID][]*Task  // not ended
	plan  Plan
}

// target is a wanted slot, and where it has to be.
type target struct {
	SlotID
	host string
}

func newPlanner(in State, now time.Time) *planner {
	p := &planner{
		in: in, now: now, specs: in.Specs,
		slots: map[string][]target{}, tasks: map[SlotID][]*Task{},
		plan: Plan{Wait: map[SlotID]Wait{}},
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
			p.slots[name] = p.global(service)
			continue
		}
		for n := 1; n <= service.Replicas; n++ {
			p.slots[name] = append(p.slots[name], target{SlotID: SlotID{name, n}})
		}
	}
	return p
}

// global numbers the hosts of a global service: one that has a slot keeps it, a
// new one gets the lowest number that nobody has. A host whose work is over counts
// while it is away too: it is not to begin again when it is back.
func (p *planner) global(service app.Service) []target {
	name := service.Name
	hosts := map[string]bool{}
	for _, host := range p.in.Present[name] {
		hosts[host] = true
	}
	numbers := map[string]int{}
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
	for _, host := range sorted(hosts) {
		n, ok := numbers[host]
		for next := 1; !ok; next++ {
			if !used[next] {
				n, ok = next, true
				used[n] = true
			}
		}
		list = append(list, target{SlotID{name, n}, host})
	}
	return list
}

// remove ends tasks in the reverse order of dependencies. What is lost with its
// host cannot be ended and does not count: it is killed should it come back.
func (p *planner) remove() {
	alive := map[string]bool{}
	for i := range p.in.Tasks {
		if t := &p.in.Tasks[i]; t.Phase.Live() {
			alive[t.Service] = true
		}
	}
	held := map[string]bool{}
	for name, service := range p.in.Wanted.Services {
		for dependency := range service.DependsOn {
			held[dependency] = held[dependency] || alive[name]
		}
	}
	for i := range p.in.Tasks {
		if t := &p.in.Tasks[i]; t.Phase.Live() && !held[t.Service] {
			p.kill(t, "the app is being removed")
		}
	}
	p.plan.Removed = len(alive) == 0
}

func (p *planner) kill(t *Task, reason string) {
	if !t.Killing {
		p.plan.Kill = append(p.plan.Kill, Kill{Task: t.ID, Reason: reason})
	}
}

// retire ends what no slot wants and what a newer generation has replaced.
func (p *planner) retire() {
	wanted := map[SlotID]bool{}
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
	for id := range p.in.Slots {
		if !wanted[id] && len(p.tasks[id]) == 0 {
			p.plan.Forget = append(p.plan.Forget, id)
		}
	}
	slices.SortFunc(p.plan.Forget, compareSlots)
}

func compareSlots(a, b SlotID) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Slot, b.Slot))
}

// service plans every slot of one service, and then whether one of those that
// are sick or run an old spec may be replaced.
func (p *planner) service(service app.Service) {
	var old, now []*Task
	settled := true
	for _, slot := range p.slots[service.Name] {
		current, fine := p.slot(service, slot)
		if current != nil && !current.Killing && current.Spec != p.specs[service.Name] {
			old = append(old, current)
			continue
		}
		if current != nil {
			now = append(now, current)
		}
		settled = settled && fine
	}
	p.heal(service, now)
	p.roll(service, old, settled)
}

// slot plans one slot. It returns the live task that fills it, if any, and
// whether all is well with it.
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
		p.wait(slot, Wait{Kind: ForStop, Reason: "stopping"})
	case current != nil:
		return current, current.Up
	case lost != nil && service.NeverReplace:
		p.wait(slot, Wait{Kind: ForHost, Reason: fmt.Sprintf("%s is unreachable, and the service is never replaced", lost.Host)})
	case older != nil:
		p.wait(slot, Wait{Kind: ForStop, Reason: "an earlier task ends first"})
	default:
		return nil, p.vacant(service, slot, lost)
	}
	return current, false
}

// vacant launches into a slot that nothing lives in, unless something stands
// against it. It reports whether the slot is empty because its work is done.
func (p *planner) vacant(service app.Service, slot target, lost *Task) (done bool) {
	history, spec := p.in.Slots[slot.SlotID], p.specs[service.Name]
	again := history.Outcome != "" && history.Spec == spec
	if lost != nil {
		again = lost.Spec == spec
	}
	if again && lost == nil {
		if wait, rests := history.rest(service.Restart, p.now); rests {
			p.wait(slot, wait)
			return wait.Kind == Complete
		}
	}
	if why := p.gate(service); !again && why != "" {
		// Order is for first starts: what ran before comes back at once.
		p.wait(slot, Wait{Kind: ForDependency, Reason: why})
		return false
	}
	p.plan.Launch = append(p.plan.Launch, Launch{
		SlotID: slot.SlotID, Spec: spec, Host: slot.host,
		Generation: max(history.Generation, p.floor(history)) + 1,
	})
	return false
}

func (p *planner) floor(history Slot) uint64 {
	if history.Generation == 0 {
		return p.in.GenerationFloor
	}
	return 0
}

func (p *planner) wait(slot target, wait Wait) {
	p.plan.Wait[slot.SlotID] = wait
	if !wait.Until.IsZero() {
		p.wake(wait.Until)
	}
}

func (p *planner) wake(at time.Time) {
	if p.plan.Wake.IsZero() || at.Before(p.plan.Wake) {
		p.plan.Wake = at
	}
}

// roll ends one task of an old spec, when all others of its service are well and
// what the new spec depends on is there. What does not answer goes first.
func (p *planner) roll(service app.Service, old []*Task, settled bool) {
	if len(old) == 0 {
		return
	}
	slices.SortStableFunc(old, func(a, b *Task) int {
		return cmp.Compare(rank(a.Up), rank(b.Up))
	})
	why := p.gate(service)
	if why == "" && !settled {
		why = "waits for its turn to be replaced"
	}
	rest := old
	if why == "" {
		p.kill(old[0], "its service has changed")
		rest, why = old[1:], "waits for its turn to be replaced"
	}
	for _, t := range rest {
		p.wait(target{SlotID: t.SlotID}, Wait{Kind: ForTurn, Reason: why})
	}
}

func rank(answering bool) int {
	if answering {
		return 1
	}
	return 0
}
