package deploy

import (
	"cmp"
	"time"

	"tombolo/framework/app"
)

// The back-off between the tasks of a slot.
const (
	backoffFirst = time.Second
	backoffMax   = time.Minute
	// stable is how long a task must run for its end not to count as quick,
	// unless the restart policy's window says otherwise.
	stable = 30 * time.Second
)

// FailedAfter is how many failures in a row make an app count as failed, although the
// framework goes on trying.
const FailedAfter = 3

// End is how a task ended.
type End struct {
	Phase   Phase
	Spec    string
	At      time.Time
	Ran     time.Duration // 0: it never did
	Reason  string
	Asked   bool // we killed it, and not for its health
	Restart app.Restart
}

// After returns the slot's history with one more end in it.
func (s Slot) After(end End) Slot {
	s.Outcome, s.Spec, s.Ended, s.Reason = end.Phase, end.Spec, end.At, end.Reason
	switch {
	case end.Asked || end.Phase == Dropped:
		s.Failures = 0
	case end.Ran >= cmp.Or(end.Restart.Window, stable):
		s.Failures = 1
	default:
		s.Failures++
	}
	return s
}

// Backoff is how long a slot waits after so many failures in a row.
func Backoff(failures int, restart app.Restart) time.Duration {
	if failures <= 0 {
		return 0
	}
	delay := cmp.Or(restart.Delay, backoffFirst)
	for ; failures > 1 && delay < backoffMax; failures-- {
		delay *= 2
	}
	return max(min(delay, backoffMax), restart.Delay)
}

// over reports whether nothing more is to come of the slot's last task, for good.
func (s Slot) over(spec string, restart app.Restart) bool {
	wait, rests := s.rest(restart, s.Ended)
	return rests && s.Spec == spec && (wait.Kind == Complete || wait.Kind == GaveUp)
}

// rest says what keeps a slot whose last task has ended from another of the same
// spec, or nothing.
func (s Slot) rest(restart app.Restart, now time.Time) (Wait, bool) {
	switch {
	case s.Outcome == Finished && restart.Condition != app.RestartAny:
		return Wait{Kind: Complete, Reason: "completed"}, true
	case s.Outcome == Failed && restart.Condition == app.RestartNone:
		return Wait{Kind: GaveUp, Reason: s.Reason}, true
	case restart.MaxAttempts > 0 && s.Failures > restart.MaxAttempts:
		return Wait{Kind: GaveUp, Reason: s.Reason + ": no attempts left"}, true
	}
	if until := s.Ended.Add(Backoff(s.Failures, restart)); now.Before(until) {
		return Wait{Kind: ForBackoff, Reason: s.Reason, Until: until}, true
	}
	return Wait{}, false
}
