package framework

import (
	"context"
	"log/slog"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	mesosclient "tombolo/framework/mesos"
	"tombolo/internal/wake"
)

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

// run makes the queued calls until ctx ends.
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
