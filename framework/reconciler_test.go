package framework

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/store"
)

var start = time.Date(2026, 11, 23, 13, 20, 0, 0, time.UTC)

func tasksNamed(ids ...string) map[string]*task {
	tasks := map[string]*task{}
	for _, id := range ids {
		tasks[id] = &task{Task: store.Task{ID: id, Agent: "S1"}}
	}
	return tasks
}

// asked returns the tasks of each RECONCILE, "all" for one that names none.
func asked(list []*scheduler.Call) (out []string) {
	for _, c := range list {
		var ids []string
		for _, t := range c.Reconcile.Tasks {
			ids = append(ids, t.TaskID.Value)
		}
		slices.Sort(ids)
		if ids == nil {
			ids = []string{"all"}
		}
		out = append(out, strings.Join(ids, " "))
	}
	return out
}

func TestReconcilerAsksUntilEveryTaskIsAnswered(t *testing.T) {
	var r reconciler
	tasks := tasksNamed("a", "b", "c")
	if due, next := r.due(tasks, start); due != nil || !next.IsZero() {
		t.Errorf("before the first subscription: %d calls, next at %v; want none", len(due), next)
	}
	r.start(tasks, start)
	now := start
	step := func(pause time.Duration, want ...string) {
		t.Helper()
		due, next := r.due(tasks, now)
		if diff := cmp.Diff(want, asked(due)); diff != "" {
			t.Errorf("tasks asked for at +%v (-want +got):\n%s", now.Sub(start), diff)
		}
		if !next.Equal(now.Add(pause)) {
			t.Errorf("the next request is due %v later, want %v", next.Sub(now), pause)
		}
		if due, again := r.due(tasks, next.Add(-1)); due != nil || !again.Equal(next) {
			t.Errorf("too early: %d calls, next at %v; want none before %v", len(due), again, next)
		}
		now = next
	}
	step(time.Second, "a b c", "all")
	r.answered("a")
	step(2*time.Second, "b c", "all")
	r.answered("b")
	delete(tasks, "c") // it ended otherwise
	step(5*time.Minute, "all")
	step(time.Second, "a b", "all") // now and then, every task is asked for again
	for _, pause := range []time.Duration{2, 4, 8, 16, 30, 30} {
		step(pause*time.Second, "a b", "all")
	}
}

func TestReconcilerAsksSoonForUncertainTasks(t *testing.T) {
	var r reconciler
	tasks := tasksNamed("a", "b")
	r.start(tasks, start)
	r.answered("a")
	r.answered("b")
	_, idle := r.due(tasks, start)
	r.answered("a")
	r.answered("b")
	now := start.Add(time.Minute)
	r.reconcileSoon([]string{"a", "gone"}, now)
	due, next := r.due(tasks, now)
	if diff := cmp.Diff([]string{"a", "all"}, asked(due)); diff != "" {
		t.Errorf("tasks asked for (-want +got):\n%s", diff)
	}
	if !next.Before(idle) || !next.Equal(now.Add(time.Second)) {
		t.Errorf("the next request is at %v, want 1s after the uncertain call", next)
	}
}
