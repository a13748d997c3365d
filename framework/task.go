package framework

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/app"
	"tombolo/framework/deploy"
	"tombolo/framework/mesos/wire"
	"tombolo/framework/place"
	"tombolo/framework/store"
	"tombolo/linker/record"
)

// steady is how long a task without a health check has to run before it counts as up.
const steady = 2 * time.Second

// task is a task that has not ended, as far as the framework knows.
type task struct {
	store.Task
	endpoint       *record.Endpoint // as a catalog last showed it; nil: none has
	resolvable     bool             // every linker that answers tells containers its address
	up             bool             // it runs, is healthy or steady, and is resolvable
	shutOff        bool             // its linker cannot read its labels
	unhealthySince time.Time        // zero: no linker says that it is unhealthy
	killSent       time.Time        // zero: not in this subscription
	examined       examination      // why it is not up
	lastFinding    string           // of examined, when it was killed for its health

	// ending are a terminal update and those that came after it. They are acknowledged
	// once the task's last output is read. nil: no terminal update has come.
	ending []mesos.TaskStatus
}

// end is how a task ended.
type end struct {
	phase   deploy.Phase
	reason  string
	exit    int
	fatal   bool // another attempt fails too unless something outside changes
	refused bool // it never ran, because its agent or the master refused it
	log     []string
	at      time.Time
}

func (t *task) slot() deploy.SlotID { return deploy.SlotID{Service: t.Service, Slot: t.Slot} }
func (t *task) phase() deploy.Phase { return deploy.Phase(t.Phase) }

// dismissed reports whether the framework ends the task although it did not fail.
func (t *task) dismissed() bool { return t.Killing && t.KilledUnhealthySince.IsZero() }

// observe notes what the linkers that answer know of the task. If they disagree, the
// linker of its own host is right.
func (t *task) observe(up []*linkerConn, now time.Time) {
	var seen *record.Endpoint
	t.resolvable, t.shutOff = len(up) > 0, false
	for _, c := range up {
		t.shutOff = t.shutOff || c.name == t.Host && c.shutOff[t.Container]
		e := c.endpoints[t.ID]
		t.resolvable = t.resolvable && e != nil && e.Answering() && !c.snapshot.Suspended[e.Host]
		if e != nil && (seen == nil || c.name == t.Host) {
			seen = e
		}
	}
	if seen != nil {
		t.endpoint = seen
		if seen.Running && seen.Health == record.HealthHealthy {
			t.examined.finding = "" // the failed check that it tells of is over
		}
	}
	// If no linker reports on a task, it counts as healthy: missing data must not end it.
	switch unhealthy := seen != nil && seen.Running && seen.Health == record.HealthUnhealthy; {
	case !unhealthy:
		t.unhealthySince = time.Time{}
	case t.unhealthySince.IsZero():
		t.unhealthySince = now
	}
}

// judge decides whether the task is up. A task without a health check must have run for
// a while; judge returns when that is over, or zero.
func (t *task) judge(mustResolve bool, now time.Time) (again time.Time) {
	t.up = t.phase() == deploy.Running && (t.resolvable || !mustResolve)
	if !t.up || t.endpoint != nil && t.endpoint.Health == record.HealthHealthy {
		return time.Time{}
	}
	if until := t.Started.Add(steady); now.Before(until) {
		t.up = false
		return until
	}
	return time.Time{}
}

// taken returns the host ports of the task: those that its service names and those that
// its linker has chosen.
func (t *task) taken() []place.Taken {
	ports := t.Ports
	if t.endpoint != nil {
		ports = slices.Concat(ports, hostPorts(t.endpoint.Published))
	}
	by := fmt.Sprintf("%s/%s.%d", t.App, t.Service, t.Slot)
	return taken(ports, place.Taken{Host: t.Host, Holder: by, App: t.App, Service: t.Service})
}

// slotAfter returns a slot's history with the end of its task.
func slotAfter(slot store.Slot, t *task, e end, restart app.Restart) store.Slot {
	ran := time.Duration(0)
	switch {
	case !t.KilledUnhealthySince.IsZero():
		ran = max(t.KilledUnhealthySince.Sub(t.Started), 0) // the time after that does not count
	case !t.Started.IsZero():
		ran = e.at.Sub(t.Started)
	}
	history := deploy.Slot{Failures: slot.Failures}.After(deploy.End{
		Phase: e.phase, Spec: t.Spec, At: e.at, Ran: ran, Reason: e.reason, Asked: t.dismissed(), Refused: e.refused, Restart: restart,
	})
	slot.Restarts++
	slot.Failures, slot.Ended, slot.Spec, slot.Outcome = history.Failures, e.at, t.Spec, string(e.phase)
	slot.Unhealthy = !t.KilledUnhealthySince.IsZero()
	slot.ExitCode, slot.Reason, slot.Fatal, slot.Log = e.exit, e.reason, e.fatal, e.log
	return slot
}

// phaseOf translates an update of a task that was in phase known; "": an unknown task.
func phaseOf(status mesos.TaskStatus, known deploy.Phase) deploy.Phase {
	switch status.GetState() {
	case mesos.TASK_STAGING, mesos.TASK_STARTING:
		if known == deploy.Running {
			return deploy.Running // an answer to a reconciliation that a newer update overtook
		}
		return deploy.Staging
	case mesos.TASK_RUNNING:
		return deploy.Running
	case mesos.TASK_KILLING: // also of a task that has never run
		if known == deploy.Launched || known == "" {
			return deploy.Staging
		}
		return known
	case mesos.TASK_FINISHED:
		return deploy.Finished
	case mesos.TASK_KILLED:
		return deploy.Killed
	case mesos.TASK_UNREACHABLE:
		return deploy.Lost
	case mesos.TASK_LOST, mesos.TASK_UNKNOWN:
		return phaseOfMissing(status, known)
	case mesos.TASK_DROPPED, mesos.TASK_GONE, mesos.TASK_GONE_BY_OPERATOR:
		return deploy.Dropped
	}
	if status.GetState() == wire.Unknown {
		return cmp.Or(known, deploy.Staging) // of a newer master: whatever it is, a state that matters follows
	}
	return deploy.Failed // TASK_FAILED, TASK_ERROR
}

// refusedByAgent reports whether an update says that an agent does not run a task, although
// it got it. Otherwise a dropped task has never reached an agent, or is gone with it.
func refusedByAgent(status mesos.TaskStatus) bool {
	if status.GetState() != mesos.TASK_DROPPED {
		return false
	}
	switch status.GetReason() {
	case mesos.REASON_INVALID_OFFERS, mesos.REASON_RECONCILIATION, mesos.REASON_MASTER_DISCONNECTED,
		mesos.REASON_AGENT_DISCONNECTED, mesos.REASON_AGENT_REMOVED, mesos.REASON_AGENT_RESTARTED, mesos.REASON_TASK_UNKNOWN:
		return false
	}
	return true
}

// phaseOfMissing tells a task that never ran or is over, which is dropped, from one that
// is out of sight and may come back, which is lost.
func phaseOfMissing(status mesos.TaskStatus, known deploy.Phase) deploy.Phase {
	switch status.GetReason() {
	case mesos.REASON_INVALID_OFFERS, mesos.REASON_TASK_UNKNOWN, mesos.REASON_MASTER_DISCONNECTED:
		return deploy.Dropped
	case mesos.REASON_RECONCILIATION:
		if known == deploy.Lost {
			return deploy.Lost
		}
		return deploy.Dropped
	}
	if known == deploy.Launched {
		return deploy.Dropped
	}
	return deploy.Lost
}
