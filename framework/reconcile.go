package framework

import (
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"
)

// reconciliation asks the master about every task after each subscription, and
// again and again about those that it has said nothing of: after a master's
// restart there is no answer before the task's agent is back. Each time it asks
// for all that the master knows as well: tasks that nobody wants are found so.
type reconciliation struct {
	open  map[string]bool // tasks without an answer
	next  time.Time
	pause time.Duration
}

func (r *reconciliation) start(tasks map[string]*task, now time.Time) {
	r.open = map[string]bool{}
	for id := range tasks {
		r.open[id] = true
	}
	r.next, r.pause = now, reconcileWait
}

func (r *reconciliation) answered(task string) { delete(r.open, task) }

// doubt asks for tasks of which it is not known whether the master has them.
func (f *Framework) doubt(tasks []string) {
	f.inbox.put(func() {
		r := &f.reconcile
		for _, id := range tasks {
			if r.open != nil && f.tasks[id] != nil {
				r.open[id] = true
			}
		}
		r.next, r.pause = time.Now(), reconcileWait
	})
}

// ask makes the calls that are due.
func (f *Framework) ask(now time.Time) {
	r := &f.reconcile
	if !f.connected || r.pause == 0 {
		return
	}
	if now.Before(r.next) {
		f.wakeAt(r.next)
		return
	}
	tasks := map[string]string{}
	for id := range r.open {
		if t := f.tasks[id]; t != nil {
			tasks[id] = t.Agent
		}
	}
	if len(tasks) > 0 {
		f.call(calls.Reconcile(calls.ReconcileTasks(tasks)))
	}
	f.call(calls.Reconcile())
	wait := r.pause
	r.pause = min(2*r.pause, reconcileMax)
	if len(tasks) == 0 {
		// All is known. From time to time every task is asked for: an update may
		// have been lost between an agent and a master that died.
		r.start(f.tasks, now)
		wait = reconcileIdle
	}
	r.next = now.Add(wait)
	f.wakeAt(r.next)
}
