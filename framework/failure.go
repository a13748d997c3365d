package framework

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/framework/deploy"
)

// failureFinder decides whether an app counts as failed. The framework goes on trying
// nevertheless, but `tombolo up` stops waiting.
//
// An instance that ends again and again fails its app only if it also does so when there is
// nothing left that it may wait for. nginx, for example, ends at once while the upstream
// that its configuration names does not answer yet, and runs when it does.
type failureFinder struct {
	d         *deployment
	instances []api.Instance // as they are shown; excuse adds to their reasons
	current   map[deploy.SlotID]*task
	now       time.Time
	wakeAt    func(time.Time) // asks for another decision at a time
}

// failure says why the app cannot come up unless something changes, or returns "".
func (f *failureFinder) failure() string {
	for _, i := range f.instances {
		if reason := f.failed(i); reason != "" {
			return fmt.Sprintf("%s.%d%s", i.Service, i.Slot, reason)
		}
	}
	for _, i := range f.instances {
		if f.longUnhealthy(slotOf(i)) {
			text := fmt.Sprintf("%s.%d is unhealthy%s", i.Service, i.Slot, f.waitingFor(i.Service))
			if why := f.current[slotOf(i)].examined.finding; why != "" {
				text += ": " + why
			}
			return text
		}
	}
	return ""
}

// failed returns what follows the name of an instance that has failed or fits on no host, or
// "". The end of a task of an old spec says nothing about the present one.
func (f *failureFinder) failed(i api.Instance) string {
	id := slotOf(i)
	slot, wait := f.d.slots[id], f.d.plan.Wait[id]
	if !f.d.plan.Wanted[id] {
		return ""
	}
	if since, ok := f.d.unplaceable[id]; ok && f.now.Sub(since) >= patience {
		return " fits on no host: " + f.d.refusals[id]
	}
	switch {
	case f.d.lostVolume[id]:
		return ": " + f.d.refusals[id]
	case slot.Spec != f.d.specs[id.Service] || i.State == api.StateUp || i.State == api.StateDone:
		return ""
	case wait.Kind == deploy.GaveUp && wait.Reason != "":
		return ": " + wait.Reason
	case slot.Fatal:
		return ": " + slot.Reason
	case slot.Failures >= deploy.FailedAfter && slot.Restarts > f.d.excused[id]:
		return fmt.Sprintf(": %s, %d times in a row", slot.Reason, slot.Failures)
	}
	return ""
}

// excuse notes which tasks end while something still starts that they may wait for, and says
// so in the reasons of their instances. The task that runs now is excused, too: it began
// under these circumstances.
func (f *failureFinder) excuse() {
	for n := range f.instances {
		i := &f.instances[n]
		id := slotOf(*i)
		slot := f.d.slots[id]
		if slot.Failures == 0 || slot.Spec != f.d.specs[id.Service] || i.State == api.StateUp {
			continue
		}
		other, found := f.starting(id)
		if !found {
			continue
		}
		f.d.excused[id] = slot.Restarts
		if t := f.current[id]; t != nil && t.phase().Live() {
			f.d.excused[id]++
		}
		if f.d.plan.Wait[id].Kind == deploy.ForBackoff {
			i.Reason += fmt.Sprintf(" (%s.%d is still starting, and it may wait for that)", other.Service, other.Slot)
		}
	}
}

// starting returns an instance that still starts and for which a slot's task may wait.
func (f *failureFinder) starting(id deploy.SlotID) (found api.Instance, ok bool) {
	at := slices.IndexFunc(f.instances, func(i api.Instance) bool {
		return slotOf(i) != id && f.d.plan.Wanted[slotOf(i)] && f.d.Wanted.MayWaitFor(id.Service, i.Service) && f.starts(i, id.Service)
	})
	if at < 0 {
		return api.Instance{}, false
	}
	return f.instances[at], true
}

// starts reports whether an instance still starts. One that ends again and again does not:
// two of them could excuse each other for ever. Neither does one that waits itself for the
// service that asks.
func (f *failureFinder) starts(i api.Instance, asking string) bool {
	id := slotOf(i)
	slot := f.d.slots[id]
	if slot.Spec == f.d.specs[id.Service] && slot.Failures >= deploy.FailedAfter {
		return false
	}
	switch i.State {
	case api.StateStaging, api.StateRunning, api.StateHealthy, api.StateStopping:
		return true
	case api.StateUnhealthy:
		return !f.longUnhealthy(id)
	case api.StateWaiting:
		return f.d.plan.Wait[id].Kind == deploy.ForDependency && f.d.plan.Wait[id].Reason != "" &&
			f.d.Wanted.DependencyPath(i.Service, asking) == nil
	case api.StateUp, api.StateDone, api.StateFailed, api.StateLost:
	}
	return false
}

// longUnhealthy reports whether a slot's task has been unhealthy for longer than patience,
// counted from the last time a user put the app. A task that is replaced does not count.
func (f *failureFinder) longUnhealthy(id deploy.SlotID) bool {
	t := f.current[id]
	if t == nil || t.unhealthySince.IsZero() || t.Killing || t.Spec != f.d.specs[id.Service] {
		return false
	}
	since := t.unhealthySince
	if since.Before(f.d.put) {
		since = f.d.put
	}
	if until := since.Add(patience); f.now.Before(until) {
		f.wakeAt(until)
		return false
	}
	return true
}

// waitingFor names the services that wait for another to be healthy.
func (f *failureFinder) waitingFor(service string) string {
	var names []string
	for id, wait := range f.d.plan.Wait {
		if wait.Kind == deploy.ForDependency && f.d.Wanted.Services[id.Service].DependsOn[service].Condition == app.Healthy {
			names = append(names, id.Service)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return fmt.Sprintf(", and %s waits for it", strings.Join(slices.Compact(names), ", "))
}

func slotOf(i api.Instance) deploy.SlotID {
	return deploy.SlotID{Service: i.Service, Slot: i.Slot}
}
