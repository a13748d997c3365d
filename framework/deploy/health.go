package deploy

import (
	"time"

	"tombolo/framework/app"
)

// UnhealthyTimeout is how long a task may be unhealthy before it is replaced. Docker calls
// a container unhealthy after several failed checks, and DNS stops answering with it then,
// so there is time to see whether it recovers.
const UnhealthyTimeout = 30 * time.Second

// replaceUnhealthy kills the task that has been unhealthy longest, if that is too long.
// Its slot gets another one, after the back-off of any failure. It kills nothing while
// another instance of the service that was unhealthy ends, or the one in its place starts,
// because the cause of one failure may be the cause of all. Instances that are not up for
// another reason are waited for by nobody. It leaves services alone that are not restarted
// or never replaced.
func (p *planner) replaceUnhealthy(service app.Service, current []*Task) {
	if service.NeverReplace || service.Restart.Condition == app.RestartNone {
		return
	}
	var longest *Task
	for _, t := range current {
		switch {
		case t.Killing && t.KilledUnhealthy, t.UnhealthySince.IsZero() && !t.Up && p.in.Slots[t.SlotID].Unhealthy:
			return
		case !t.Killing && !t.UnhealthySince.IsZero() && (longest == nil || t.UnhealthySince.Before(longest.UnhealthySince)):
			longest = t
		}
	}
	if longest == nil {
		return
	}
	if until := longest.UnhealthySince.Add(UnhealthyTimeout); p.now.Before(until) {
		p.wake(until)
		return
	}
	p.plan.Kill = append(p.plan.Kill, Kill{Task: longest.ID, Reason: "it is unhealthy", Unhealthy: true})
}
