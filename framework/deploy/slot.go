package deploy

import (
	"cmp"
	"time"

	"tombolo/framework/app"
)

const (
	backoffFirst = time.Second
	backoffMax   = time.Minute
	// stable is how long a task must run for its end to count as one failure and not as
	// one more in a row. The window of a restart policy replaces it.
	stable = 30 * time.Second
)

// FailedAfter is the number of failures in a row after which an app counts as failed. The
// framework goes on starting tasks.
const FailedAfter = 3

// End is the end of a task.
type End struct {
	Phase   Phase
	Spec    string
	At      time.Time
	Ran     time.Duration // 0: it never ran
	Reason  string
	Asked   bool // the framework killed it, for another reason than its health
	Refused bool // it never ran, because its agent or the master refused it
	Restart app.Restart
}

// After returns the history of a slot with one more end in it.
func (s Slot) After(end End) Slot {
	s.Outcome, s.Spec, s.Ended, s.Reason = end.Phase, end.Spec, end.At, end.Reason
	switch {
	case end.Asked || end.Phase == Dropped && !end.Refused:
		s.Failures = 0
	case end.Ran >= cmp.Or(end.Restart.Window, stable):
		s.Failures = 1
	default:
		s.Failures++
	}
	return s
}

// backoff returns how long a slot waits for its next task after failures in a row: the
// delay of the restart policy or 1 s, doubled each time, up to 60 s.
func backoff(failures int, restart app.Restart) time.Duration {
	if failures <= 0 {
		return 0
	}
	delay := cmp.Or(restart.Delay, backoffFirst)
	for ; failures > 1 && delay < backoffMax; failures-- {
		delay *= 2
	}
	return max(min(delay, backoffMax), restart.Delay)
}

// Completed reports whether a slot has done its work: its last task was of this spec and ended
// with success, and the restart policy wants no other.
func (s Slot) Completed(spec string, restart app.Restart) bool {
	return s.Outcome == Finished && s.Spec == spec && restart.Condition != app.RestartAny
}

// over reports whether a slot gets no other task of this spec, ever.
func (s Slot) over(spec string, restart app.Restart) bool {
	wait, waits := s.restartWait(restart, s.Ended)
	return waits && s.Spec == spec && (wait.Kind == Complete || wait.Kind == GaveUp)
}

// restartWait returns what keeps a slot whose last task has ended from another task of
// the same spec, if anything does.
func (s Slot) restartWait(restart app.Restart, now time.Time) (wait Wait, waits bool) {
	switch {
	case s.Outcome == Finished && restart.Condition != app.RestartAny:
		return Wait{Kind: Complete, Reason: "completed"}, true
	case s.Outcome == Failed && restart.Condition == app.RestartNone:
		return Wait{Kind: GaveUp, Reason: s.Reason}, true
	case restart.MaxAttempts > 0 && s.Failures > restart.MaxAttempts:
		return Wait{Kind: GaveUp, Reason: s.Reason + ": no attempts left"}, true
	}
	if until := s.Ended.Add(backoff(s.Failures, restart)); now.Before(until) {
		return Wait{Kind: ForBackoff, Reason: s.Reason, Until: until}, true
	}
	return Wait{}, false
}
