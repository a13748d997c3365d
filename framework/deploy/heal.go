package deploy

import (
	"time"

	"tombolo/framework/app"
)

// UnhealthyTimeout is how long a task may be unhealthy before it is replaced. Docker has
// let it fail several checks by then, and names have stopped leading to it: there
// is time for it to get well by itself.
const UnhealthyTimeout = 30 * time.Second

// heal ends one task that has been unhealthy for long, so that its slot gets
// another, with the back-off that any failure has. While another of the service is
// on its way, out or in, it waits: what makes one sick may make all. A service
// that is not to be started again, or never to be replaced, is left alone.
func (p *planner) heal(service app.Service, current []*Task) {
	if service.NeverReplace || service.Restart.Condition == app.RestartNone {
		return
	}
	var worst *Task
	for _, t := range current {
		switch {
		case t.Killing, t.UnhealthySince.IsZero() && !t.Up:
			return
		case !t.UnhealthySince.IsZero() && (worst == nil || t.UnhealthySince.Before(worst.UnhealthySince)):
			worst = t
		}
	}
	if worst == nil {
		return
	}
	if until := worst.UnhealthySince.Add(UnhealthyTimeout); p.now.Before(until) {
		p.wake(until)
		return
	}
	p.plan.Kill = append(p.plan.Kill, Kill{Task: worst.ID, Reason: "it is unhealthy", Unhealthy: true})
}
