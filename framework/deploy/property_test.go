package deploy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tombolo/framework/app"
)

// world carries out plans as the framework and a cluster would, and lets things
// happen in between.
type world struct {
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

// step carries out a plan, and checks what it must never say.
func (w *world) step() Plan {
	plan := Next(w.in, w.now)
	for _, l := range plan.Launch {
		if w.in.Removing {
			w.t.Fatalf("%v launched while the app is removed", l)
		}
		for _, t := range w.in.Tasks {
			if t.SlotID == l.SlotID && t.Phase.Live() {
				w.t.Fatalf("%v launched while %s is live", l, t.ID)
			}
			if t.SlotID == l.SlotID && t.Phase == Lost && t.Generation >= w.in.Slots[l.SlotID].Generation && w.in.Wanted.Services[l.Service].NeverReplace {
				w.t.Fatalf("%v replaces %s", l, t.ID)
			}
		}
		id := fmt.Sprintf("%s.%d.g%d", l.Service, l.Slot, l.Generation)
		if w.ended[id] {
			w.t.Fatalf("task ID %s comes twice", id)
		}
		w.ended[id] = true
		w.in.Tasks = append(w.in.Tasks, Task{ID: id, SlotID: l.SlotID, Generation: l.Generation, Spec: l.Spec, Host: "h", Phase: Launched})
		slot := w.in.Slots[l.SlotID]
		slot.Generation, slot.Host = l.Generation, "h"
		w.in.Slots[l.SlotID] = slot
	}
	w.checkKills(plan)
	for _, k := range plan.Kill {
		for i := range w.in.Tasks {
			if w.in.Tasks[i].ID == k.Task {
				w.in.Tasks[i].Killing = true
			}
		}
	}
	for _, id := range plan.Forget {
		w.in.GenerationFloor = max(w.in.GenerationFloor, w.in.Slots[id].Generation)
		delete(w.in.Slots, id)
	}
	return plan
}

// checkKills: a change ends at most one task a service, and only where all that
// stays is well.
func (w *world) checkKills(plan Plan) {
	changed, healed := map[string]int{}, map[string]int{}
	for _, k := range plan.Kill {
		for _, t := range w.in.Tasks {
			if t.ID != k.Task {
				continue
			}
			if !t.Phase.Live() || t.Killing {
				w.t.Fatalf("killed again, or not alive: %+v", t)
			}
			if k.Reason == "its service has changed" {
				changed[t.Service]++
			}
			if k.Unhealthy {
				healed[t.Service]++
				w.checkHealing(t)
			}
		}
	}
	for name := range w.in.Wanted.Services {
		if n := changed[name] + healed[name]; n > 1 {
			w.t.Fatalf("%d tasks of %s are replaced at once", n, name)
		}
	}
	if !w.in.Removing {
		return
	}
	for _, k := range plan.Kill {
		for name, s := range w.in.Wanted.Services {
			for _, t := range w.in.Tasks {
				if _, needs := s.DependsOn[w.find(k.Task).Service]; needs && t.Service == name && t.Phase.Live() {
					w.t.Fatalf("%s is ended while %s needs it", k.Task, t.ID)
				}
			}
		}
	}
}

// checkHealing: what is ended for its health has been unhealthy for long, may be
// replaced, and is alone in it.
func (w *world) checkHealing(sick Task) {
	s := w.in.Wanted.Services[sick.Service]
	if w.now.Sub(sick.UnhealthySince) < UnhealthyTimeout || sick.UnhealthySince.IsZero() || s.NeverReplace {
		w.t.Fatalf("%+v is ended for its health", sick)
	}
	for _, t := range w.in.Tasks {
		if t.Service == sick.Service && t.Killing && t.Phase.Live() {
			w.t.Fatalf("%s is ended for its health while %s ends", sick.ID, t.ID)
		}
	}
}

func (w *world) find(id string) Task {
	return w.in.Tasks[slices.IndexFunc(w.in.Tasks, func(t Task) bool { return t.ID == id })]
}

// happen lets something happen to one task.
func (w *world) happen() {
	if len(w.in.Tasks) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.in.Tasks)-1).Draw(w.t, "task")
	t := &w.in.Tasks[i]
	switch rapid.SampledFrom([]string{"go on", "answer", "sicken", "fail", "lose", "return"}).Draw(w.t, "event") {
	case "go on":
		w.goOn(i)
	case "answer":
		t.Up, t.UnhealthySince = t.Phase == Running, time.Time{}
	case "sicken":
		if t.Phase == Running {
			t.Up, t.UnhealthySince = false, w.now
		}
	case "fail":
		if t.Phase.Live() {
			w.end(i, Failed)
		}
	case "lose":
		t.Phase, t.Up, t.UnhealthySince = Lost, false, time.Time{}
	case "return":
		if t.Phase == Lost {
			t.Phase = Running
		}
	}
}

// goOn lets a task do what is next for it.
func (w *world) goOn(i int) {
	switch t := &w.in.Tasks[i]; {
	case t.Killing && t.Phase.Live():
		w.end(i, Killed)
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

func (w *world) end(i int, phase Phase) {
	t := w.in.Tasks[i]
	w.in.Tasks = slices.Delete(w.in.Tasks, i, i+1)
	if slot := w.in.Slots[t.SlotID]; t.Generation >= slot.Generation {
		w.in.Slots[t.SlotID] = slot.After(End{Phase: phase, Spec: t.Spec, At: w.now, Asked: t.Killing})
	}
}

// settle lets everything go well until nothing changes any more.
func (w *world) settle() Plan {
	for range 2000 {
		w.now = w.now.Add(time.Minute)
		plan := w.step()
		before := fmt.Sprint(w.in.Tasks)
		for i := len(w.in.Tasks) - 1; i >= 0; i-- {
			w.goOn(i)
		}
		if before == fmt.Sprint(w.in.Tasks) && len(plan.Launch)+len(plan.Kill)+len(plan.Forget) == 0 {
			return plan
		}
	}
	w.t.Fatalf("does not settle: %+v", w.in)
	return Plan{}
}

func TestNextKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, now: epoch, ended: map[string]bool{}, in: State{Wanted: drawApp(t), Slots: map[SlotID]Slot{}}}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 12).Draw(t, "what") {
			case 0:
				w.in.Wanted = drawApp(t)
			case 1:
				w.in.Removing = true
			default:
				w.happen()
			}
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			w.step()
		}
		plan := w.settle()
		if w.in.Removing {
			if !plan.Removed || len(w.in.Tasks) > 0 {
				t.Fatalf("not gone: %+v", w.in.Tasks)
			}
			return
		}
		w.complete()
	})
}

// complete expects each wanted slot to have one task, of the spec that is wanted,
// and nothing else.
func (w *world) complete() {
	specs := Specs(w.in.Wanted)
	filled := map[SlotID]int{}
	for _, t := range w.in.Tasks {
		filled[t.SlotID]++
		if t.Spec != specs[t.Service] || !t.Up {
			w.t.Fatalf("%+v is not what is wanted", t)
		}
	}
	slots := 0
	for name, s := range w.in.Wanted.Services {
		for n := 1; n <= s.Replicas; n++ {
			slots++
			if filled[SlotID{name, n}] != 1 {
				w.t.Fatalf("slot %s.%d has %d tasks", name, n, filled[SlotID{name, n}])
			}
		}
	}
	if len(w.in.Tasks) != slots {
		w.t.Fatalf("%d tasks in %d slots", len(w.in.Tasks), slots)
	}
}
