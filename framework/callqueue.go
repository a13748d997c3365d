package framework

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	mesosclient "tombolo/framework/mesos"
	"tombolo/internal/wake"
)

const (
	callRetry    = 200 * time.Millisecond // before a call is made again; it doubles
	callRetryMax = 5 * time.Second
	// callsAtOnce bounds the requests that wait for the master at a time. It answers a call
	// within milliseconds, so a few connections carry thousands of calls a second.
	callsAtOnce = 16
)

// numbered is a call and the subscription that it is for.
type numbered struct {
	subscription uint64
	*scheduler.Call
}

// callQueue makes calls to the master, so that the framework's goroutine never waits for
// the network. Calls about one agent are made in order, in a lane of their own, and so are
// acknowledgements to one agent, and calls about the market: a call that the master refuses
// to take holds up only the calls behind it in its lane.
//
// A failed call is made again, because the master takes every call but ACCEPT twice
// without harm. Nobody knows whether a failed ACCEPT had an effect. The queue declines
// its offers, after which the ACCEPT can no longer have one, and then reports its tasks
// as uncertain, or as refused if the master has said so. A call of a subscription that has
// ended is dropped: after the next subscription the framework reconciles all tasks and
// repeats all kills, and the offers are void.
type callQueue struct {
	master Master
	log    *slog.Logger
	events callEvents
	queue  *wake.Queue[numbered]
	places chan struct{} // one for each call that is being made
	counts callCounts
}

// callEvents are what the queue tells the framework, from any goroutine.
type callEvents struct {
	uncertain func(tasks []string)            // nobody knows whether their ACCEPT had an effect
	refused   func(tasks []string, err error) // the master did not take their ACCEPT
}

func newCallQueue(master Master, events callEvents, log *slog.Logger) *callQueue {
	return &callQueue{
		master: master, log: log, events: events,
		queue: wake.NewQueue[numbered](), places: make(chan struct{}, callsAtOnce),
	}
}

// run makes calls until ctx ends. It returns when all lanes have ended.
func (q *callQueue) run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	waiting := map[string][]numbered{} // by lane; a lane with a key has a goroutine
	done := make(chan string)
	start := func(lane string) {
		list := waiting[lane]
		waiting[lane] = nil
		group.Go(func() {
			for _, call := range list {
				q.perform(ctx, call)
			}
			select {
			case done <- lane:
			case <-ctx.Done():
			}
		})
	}
	for {
		select {
		case <-ctx.Done():
			return
		case lane := <-done:
			if len(waiting[lane]) == 0 {
				delete(waiting, lane)
				continue
			}
			start(lane)
		case <-q.queue.Ready():
			for _, call := range q.queue.Take() {
				lane := laneOf(call.Call)
				_, busy := waiting[lane]
				waiting[lane] = append(waiting[lane], call)
				if !busy {
					start(lane)
				}
			}
		}
	}
}

// laneOf names the lane of a call.
func laneOf(call *scheduler.Call) string {
	switch call.Type {
	case scheduler.Call_ACKNOWLEDGE:
		return "acknowledge " + call.Acknowledge.AgentID.Value
	case scheduler.Call_KILL:
		return "agent " + call.Kill.AgentID.GetValue()
	case scheduler.Call_ACCEPT:
		if tasks := launchedBy(call.Accept); len(tasks) > 0 {
			return "agent " + tasks[0].AgentID.Value
		}
	}
	return "market"
}

// perform makes a call until the master has taken it or never will.
func (q *callQueue) perform(ctx context.Context, call numbered) {
	var tasks []string
	var refused error
	for retry := wake.NewBackoff(callRetry, callRetryMax); ; {
		err := q.attempt(ctx, call)
		if err == nil || ctx.Err() != nil {
			break
		}
		q.log.Warn("call to the master failed", "call", call.Type.String(), "err", err)
		if call.Type == scheduler.Call_ACCEPT {
			tasks = ids(launchedBy(call.Accept))
			if errors.Is(err, mesosclient.ErrInvalid) {
				refused, err = err, nil
			}
			call.Call = calls.Decline(call.Accept.OfferIDs...).With(calls.RefuseSeconds(0))
		}
		if mesosclient.Permanent(err) || !retry.Wait(ctx) {
			break
		}
	}
	switch {
	case refused != nil:
		q.events.refused(tasks, refused)
	case len(tasks) > 0:
		q.events.uncertain(tasks)
	}
}

func (q *callQueue) attempt(ctx context.Context, call numbered) error {
	select {
	case q.places <- struct{}{}:
		defer func() { <-q.places }()
		err := q.master.Call(ctx, call.subscription, call.Call)
		if ctx.Err() == nil {
			q.counts.add(call.Type.String(), err)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func launchedBy(a *scheduler.Call_Accept) (tasks []mesos.TaskInfo) {
	for _, op := range a.Operations {
		tasks = append(tasks, op.GetLaunch().GetTaskInfos()...)
	}
	return tasks
}

func ids(tasks []mesos.TaskInfo) (list []string) {
	for _, info := range tasks {
		list = append(list, info.TaskID.Value)
	}
	return list
}
