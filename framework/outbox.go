package framework

import (
	"context"
	"log/slog"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	mesosclient "tombolo/framework/mesos"
	"tombolo/framework/offers"
	"tombolo/internal/wake"
)

// outbox collects the effects of a decision until the decision is stored.
type outbox struct {
	calls *callQueue
	after []func()
	wake  time.Time // when to decide again at the latest; zero: only when something happens
}

// then runs fn once all decisions so far are stored.
func (o *outbox) then(fn func()) { o.after = append(o.after, fn) }

// call makes calls to the master once all decisions so far are stored.
func (o *outbox) call(list ...*scheduler.Call) {
	for _, c := range list {
		o.then(func() { o.calls.queue.Put(c) })
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

const (
	callRetry    = 200 * time.Millisecond // before a call is made again; it doubles
	callRetryMax = 5 * time.Second
)

// callQueue makes calls to the master, in order, so that the framework's goroutine
// never waits for the network.
//
// A failed call is made again, because the master takes every call but ACCEPT twice
// without harm. Nobody knows whether a failed ACCEPT had an effect. The queue declines
// its offers, after which the ACCEPT can no longer have one, and then reports its tasks
// as uncertain. A call that fails because the subscription is lost is dropped: after
// the next subscription the framework reconciles all tasks and repeats all kills, and
// the offers are void.
type callQueue struct {
	master    Master
	log       *slog.Logger
	uncertain func(tasks []string)
	queue     *wake.Queue[*scheduler.Call]
}

func newCallQueue(master Master, log *slog.Logger, uncertain func([]string)) *callQueue {
	return &callQueue{master: master, log: log, uncertain: uncertain, queue: wake.NewQueue[*scheduler.Call]()}
}

func (q *callQueue) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.queue.Ready():
		}
		for _, call := range q.queue.Take() {
			q.perform(ctx, call)
		}
	}
}

func (q *callQueue) perform(ctx context.Context, call *scheduler.Call) {
	var tasks []string
	for retry := wake.NewBackoff(callRetry, callRetryMax); ; {
		err := q.master.Call(ctx, call)
		if err == nil || ctx.Err() != nil {
			break
		}
		q.log.Warn("call to the master failed", "call", call.Type.String(), "err", err)
		if call.Type == scheduler.Call_ACCEPT {
			tasks = launchedBy(call.Accept)
			call = calls.Decline(call.Accept.OfferIDs...).With(calls.RefuseSeconds(0))
		}
		if mesosclient.Permanent(err) || !retry.Wait(ctx) {
			break
		}
	}
	if len(tasks) > 0 {
		q.uncertain(tasks)
	}
}

func launchedBy(a *scheduler.Call_Accept) (ids []string) {
	for _, op := range a.Operations {
		for _, info := range op.GetLaunch().GetTaskInfos() {
			ids = append(ids, info.TaskID.Value)
		}
	}
	return ids
}
