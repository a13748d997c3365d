package framework

import (
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"
)

const (
	reconcileFirst = time.Second // before the first repetition; it doubles
	reconcileMax   = 30 * time.Second
	reconcileIdle  = 5 * time.Minute // between reconciliations while nothing is uncertain
)

// reconciler asks the master about the state of tasks: of all tasks after each
// subscription, and again and again of those that the master has not answered for,
// because a master that has restarted answers only once the task's agent is back. With
// each request it also asks for every task that the master knows, which finds the tasks
// that the framework does not. It is pure.
type reconciler struct {
	unanswered map[string]bool // by task ID; nil: never started
	next       time.Time
	pause      time.Duration // after the next request; zero: never started
}

// start reconciles all tasks, from now on.
func (r *reconciler) start(tasks map[string]*task, now time.Time) {
	r.unanswered = make(map[string]bool, len(tasks))
	for id := range tasks {
		r.unanswered[id] = true
	}
	r.next, r.pause = now, reconcileFirst
}

func (r *reconciler) answered(id string) { delete(r.unanswered, id) }

// reconcileSoon adds tasks that the master may not have, because a launch failed.
func (r *reconciler) reconcileSoon(ids []string, now time.Time) {
	if r.unanswered != nil {
		for _, id := range ids {
			r.unanswered[id] = true
		}
	}
	r.next, r.pause = now, reconcileFirst
}

// due returns the calls to make now, and when to ask again; zero: not before start.
// IDs that are not in tasks any more are left out.
func (r *reconciler) due(tasks map[string]*task, now time.Time) (due []*scheduler.Call, wake time.Time) {
	if r.pause == 0 || now.Before(r.next) {
		return nil, r.next
	}
	agents := map[string]string{}
	for id := range r.unanswered {
		if t := tasks[id]; t != nil {
			agents[id] = t.Agent
		}
	}
	if len(agents) > 0 {
		due = append(due, calls.Reconcile(calls.ReconcileTasks(agents)))
	}
	due = append(due, calls.Reconcile())
	wait := r.pause
	r.pause = min(2*r.pause, reconcileMax)
	if len(agents) == 0 {
		// Nothing is uncertain, but an update may have been lost between an agent and a
		// master that died. All tasks are reconciled from time to time.
		r.start(tasks, now)
		wait = reconcileIdle
	}
	r.next = now.Add(wait)
	return due, r.next
}
