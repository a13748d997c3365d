package framework

import (
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"tombolo/framework/offers"
)

// outbox collects the effects of a decision until the decision is stored.
type outbox struct {
	calls        *callQueue
	subscription uint64 // the number of the subscription that calls are for; 0: there was none
	after        []func()
	wake         time.Time // when to decide again at the latest; zero: only when something happens
}

// then runs fn once all decisions so far are stored.
func (o *outbox) then(fn func()) { o.after = append(o.after, fn) }

// call makes calls to the master, in the present subscription, once all decisions so far are
// stored.
func (o *outbox) call(list ...*scheduler.Call) {
	for _, c := range list {
		call := numbered{o.subscription, c}
		o.then(func() { o.calls.queue.Put(call) })
	}
}

// do takes over what the book of offers asks for.
func (o *outbox) do(actions offers.Actions) {
	o.call(actions.Calls...)
	o.wakeAt(actions.Wake)
}

// wakeAt asks for another decision at t at the latest. A zero t asks for nothing.
func (o *outbox) wakeAt(t time.Time) {
	if !t.IsZero() && (o.wake.IsZero() || t.Before(o.wake)) {
		o.wake = t
	}
}

// flush lets the effects happen. Call it once the decisions are stored.
func (o *outbox) flush() {
	for _, fn := range o.after {
		fn()
	}
	o.after = nil
}

// untilWake returns how long the framework may sleep if nothing happens.
func (o *outbox) untilWake() time.Duration {
	if o.wake.IsZero() {
		return time.Hour
	}
	return max(time.Until(o.wake), 0)
}
