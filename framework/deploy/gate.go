package deploy

import (
	"fmt"

	"tombolo/framework/app"
)

// gate says what a service still waits for before its first start, or nothing.
func (p *planner) gate(service app.Service) string {
	for _, name := range sorted(service.DependsOn) {
		dependency := service.DependsOn[name]
		if _, ok := p.in.Wanted.Services[name]; !ok {
			if dependency.Optional {
				continue
			}
			return fmt.Sprintf("waits for %s, which the app does not have", name)
		}
		for _, slot := range p.slots[name] {
			if !p.met(slot.SlotID, dependency.Condition) {
				return fmt.Sprintf("waits for %s to be %s", name, participle(dependency.Condition))
			}
		}
	}
	return ""
}

func (p *planner) met(id SlotID, condition string) bool {
	history, spec := p.in.Slots[id], p.specs[id.Service]
	finished := history.Outcome == Finished && history.Spec == spec
	var current *Task
	for _, t := range p.tasks[id] {
		if t.Phase == Running && t.Generation >= history.Generation && t.Spec == spec && !t.Killing {
			current = t
		}
	}
	switch condition {
	case app.Healthy:
		return current != nil && current.Up
	case app.Completed:
		return current == nil && finished
	}
	return current != nil || finished
}

func participle(condition string) string {
	switch condition {
	case app.Healthy:
		return "healthy"
	case app.Completed:
		return "completed"
	}
	return "started"
}
