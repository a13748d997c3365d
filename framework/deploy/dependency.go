package deploy

import (
	"fmt"
	"strings"

	"tombolo/framework/app"
)

// unmet returns the first dependency that keeps instances of a service from their first
// start, as a reason for users, or "".
func (p *planner) unmet(service app.Service) string {
	for _, name := range sorted(service.DependsOn) {
		dependency := service.DependsOn[name]
		if _, ok := p.in.Wanted.Services[name]; !ok && !dependency.Optional {
			return fmt.Sprintf("waits for %s, which the app does not have", name)
		}
		word, _, _ := strings.Cut(strings.TrimPrefix(dependency.Condition, "service_"), "_") // "completed" of the longest one
		for _, slot := range p.slots[name] {
			if !p.meets(slot.SlotID, dependency.Condition) {
				return fmt.Sprintf("waits for %s to be %s", name, word)
			}
		}
	}
	return ""
}

// meets reports whether a slot meets a condition. A task of an old spec does not count.
func (p *planner) meets(id SlotID, condition string) bool {
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
