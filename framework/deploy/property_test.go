package deploy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tombolo/framework/app"
)

// simulation carries out plans as the framework and a cluster would, and lets events
// happen in between.
type simulation struct {
	t     *rapid.T
	in    State
	now   time.Time
	ended map[string]bool // task IDs
}

func drawApp(t *rapid.T) app.App {
	var services []app.Service
	for i := range rapid.IntRange(1, 4).Draw(t, "services") {
		s := service(fmt.Sprintf("s%d", i), rapid.IntRange(0, 3).Draw(t, "replicas"))
		s.Image = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "image")
		s.NeverReplace = rapid.Bool().Draw(t, "never replace")
		for j := range i {
			if rapid.Bool().Draw(t, "depends") {
				if s.DependsOn == nil {
					s.DependsOn = map[string]app.Dependency{}
				}
				s.DependsOn[fmt.Sprintf("s%d", j)] = app.Dependency{
					Condition: rapid.SampledFrom([]string{app.Started, app.Healthy}).Draw(t, "condition"),
				}
			}
		}
		services = append(services, s)
	}
	return wanted(services...)
}

// step makes a plan, checks it, and carries it out.
func (sim *simulation) step() Plan {
	plan := Next(sim.in, sim.now)
	for _, l := range plan.Launch {
		if sim.in.Removing {
			sim.t.Fatalf("%v is launched while the app is being removed", l)
		}
		for _, t := range sim.in.Tasks {
			if t.SlotID == l.SlotID && t.Phase.Live() {
				sim.t.Fatalf("%v is launched while %s is live in the slot", l, t.ID)
			}
			if t.SlotID == l.SlotID && t.Phase == Lost && t.Generation >= sim.in.Slots[l.SlotID].Generation && sim.in.Wanted.Services[l.Service].NeverReplace {
				sim.t.Fatalf("%v replaces %s of a service that is never replaced", l, t.ID)
			}
		}
		id := fmt.Sprintf("%s.%d.g%d", l.Service, l.Slot, l.Generation)
		if sim.ended[id] {
			sim.t.Fatalf("the task ID %s is used twice", id)
		}
		sim.ended[id] = true
		sim.in.Tasks = append(sim.in.Tasks, Task{ID: id, SlotID: l.SlotID, Generation: l.Generation, Spec: l.Spec, Host: "h", Phase: Launched})
		slot := sim.in.Slots[l.SlotID]
		slot.Generation, slot.Host = l.Generation, "h"
		sim.in.Slots[l.SlotID] = slot
	}
	sim.checkKills(plan)
	for _, k := range plan.Kill {
		for i := range sim.in.Tasks {
			if sim.in.Tasks[i].ID == k.Task {
				sim.in.Tasks[i].Killing = true
			}
		}
	}
	for _, id := range plan.Forget {
		sim.in.GenerationFloor = max(sim.in.GenerationFloor, sim.in.Slots[id].Generation)
		delete(sim.in.Slots, id)
	}
	return plan
}

// checkKills checks that a plan kills live tasks only, and each once. For a change or for
// health, it kills at most one task of a service. It removes a service before its
// dependencies.
func (sim *simulation) checkKills(plan Plan) {
	changed, unhealthy := map[string]int{}, map[string]int{}
	for _, k := range plan.Kill {
		for _, t := range sim.in.Tasks {
			if t.ID != k.Task {
				continue
			}
			if !t.Phase.Live() || t.Killing {
				sim.t.Fatalf("a task is killed that is not live, or was killed already: %+v", t)
			}
			if k.Reason == "its service has changed" {
				changed[t.Service]++
			}
			if k.Unhealthy {
				unhealthy[t.Service]++
				sim.checkUnhealthy(t)
			}
		}
	}
	for name := range sim.in.Wanted.Services {
		if n := changed[name] + unhealthy[name]; n > 1 {
			sim.t.Fatalf("%d tasks of the service %s are replaced at once", n, name)
		}
	}
	if !sim.in.Removing {
		return
	}
	for _, k := range plan.Kill {
		for name, s := range sim.in.Wanted.Services {
			for _, t := range sim.in.Tasks {
				if _, needs := s.DependsOn[sim.find(k.Task).Service]; needs && t.Service == name && t.Phase.Live() {
					sim.t.Fatalf("%s is killed while %s depends on it", k.Task, t.ID)
				}
			}
		}
	}
}

// checkUnhealthy checks a task that is killed for its health: it has been unhealthy for
// long, may be replaced, and no other task of its service is being killed.
func (sim *simulation) checkUnhealthy(killed Task) {
	s := sim.in.Wanted.Services[killed.Service]
	if sim.now.Sub(killed.UnhealthySince) < UnhealthyTimeout || killed.UnhealthySince.IsZero() || s.NeverReplace {
		sim.t.Fatalf("%+v is killed for its health, but must not be", killed)
	}
	for _, t := range sim.in.Tasks {
		if t.Service == killed.Service && t.Killing && t.Phase.Live() {
			sim.t.Fatalf("%s is killed for its health while %s stops", killed.ID, t.ID)
		}
	}
}

func (sim *simulation) find(id string) Task {
	return sim.in.Tasks[slices.IndexFunc(sim.in.Tasks, func(t Task) bool { return t.ID == id })]
}

// happen lets one event happen to one task.
func (sim *simulation) happen() {
	if len(sim.in.Tasks) == 0 {
		return
	}
	i := rapid.IntRange(0, len(sim.in.Tasks)-1).Draw(sim.t, "task")
	t := &sim.in.Tasks[i]
	switch rapid.SampledFrom([]string{"go on", "become healthy", "become unhealthy", "fail", "be lost", "come back"}).Draw(sim.t, "event") {
	case "go on":
		sim.goOn(i)
	case "become healthy":
		t.Up, t.UnhealthySince = t.Phase == Running, time.Time{}
	case "become unhealthy":
		if t.Phase == Running {
			t.Up, t.UnhealthySince = false, sim.now
		}
	case "fail":
		if t.Phase.Live() {
			sim.end(i, Failed)
		}
	case "be lost":
		t.Phase, t.Up, t.UnhealthySince = Lost, false, time.Time{}
	case "come back":
		if t.Phase == Lost {
			t.Phase = Running
		}
	}
}

// goOn takes a task one step further in its life.
func (sim *simulation) goOn(i int) {
	switch t := &sim.in.Tasks[i]; {
	case t.Killing && t.Phase.Live():
		sim.end(i, Killed)
	case t.Phase == Launched:
		t.Phase = Staging
	case t.Phase == Staging:
		t.Phase = Running
	case t.Phase == Running:
		t.Up, t.UnhealthySince = true, time.Time{}
	case t.Phase == Lost:
		t.Phase = Running
	}
}

func (sim *simulation) end(i int, phase Phase) {
	t := sim.in.Tasks[i]
	sim.in.Tasks = slices.Delete(sim.in.Tasks, i, i+1)
	if slot := sim.in.Slots[t.SlotID]; t.Generation >= slot.Generation {
		sim.in.Slots[t.SlotID] = slot.After(End{Phase: phase, Spec: t.Spec, At: sim.now, Asked: t.Killing})
	}
}

// settle lets all go well until nothing changes any more. It returns the last plan.
func (sim *simulation) settle() Plan {
	for range 2000 {
		sim.now = sim.now.Add(time.Minute)
		plan := sim.step()
		before := fmt.Sprint(sim.in.Tasks)
		for i := len(sim.in.Tasks) - 1; i >= 0; i-- {
			sim.goOn(i)
		}
		if before == fmt.Sprint(sim.in.Tasks) && len(plan.Launch)+len(plan.Kill)+len(plan.Forget) == 0 {
			return plan
		}
	}
	sim.t.Fatalf("the app does not come to rest: %+v", sim.in)
	return Plan{}
}

func TestNextKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sim := &simulation{t: t, now: epoch, ended: map[string]bool{}, in: State{Wanted: drawApp(t), Slots: map[SlotID]Slot{}}}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 12).Draw(t, "what") {
			case 0:
				sim.in.Wanted = drawApp(t)
			case 1:
				sim.in.Removing = true
			default:
				sim.happen()
			}
			sim.now = sim.now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			sim.step()
		}
		plan := sim.settle()
		if sim.in.Removing {
			if !plan.Removed || len(sim.in.Tasks) > 0 {
				t.Fatalf("the app is not removed, these tasks are left: %+v", sim.in.Tasks)
			}
			return
		}
		sim.complete()
	})
}

// complete checks that each wanted slot has one task, which is up and of the wanted spec,
// and that there are no other tasks.
func (sim *simulation) complete() {
	specs := Specs(sim.in.Wanted)
	filled := map[SlotID]int{}
	for _, t := range sim.in.Tasks {
		filled[t.SlotID]++
		if t.Spec != specs[t.Service] || !t.Up {
			sim.t.Fatalf("%+v is not up, or of another spec than the wanted one", t)
		}
	}
	slots := 0
	for name, s := range sim.in.Wanted.Services {
		for n := 1; n <= s.Replicas; n++ {
			slots++
			if filled[SlotID{name, n}] != 1 {
				sim.t.Fatalf("slot %s.%d has %d tasks", name, n, filled[SlotID{name, n}])
			}
		}
	}
	if len(sim.in.Tasks) != slots {
		sim.t.Fatalf("%d tasks for %d slots", len(sim.in.Tasks), slots)
	}
}
