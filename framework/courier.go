package framework

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	mesosclient "tombolo/framework/mesos"
)

// courier makes calls to the master in their order, so that nobody who decides
// waits for the network.
//
// A call that fails is made again: all but ACCEPT may come twice. What became of
// a failed ACCEPT is not known, so its offers are declined first, which makes sure
// that it has no effect from then on, and then its tasks are asked for. A call
// that fails because the subscription is gone is dropped: after the next one every
// task is asked for and every kill repeated, and the offers are void anyway.
type courier struct {
	master Master
	log    *slog.Logger
	doubt  func(tasks []string) // asks for tasks of which nothing is known
	ready  chan struct{}        // of one: the queue is not empty

	mu    sync.Mutex
	queue []*scheduler.Call
}

// The pause before a call is made again; it doubles.
const (
	callAgain    = 200 * time.Millisecond
	callAgainMax = 5 * time.Second
)

func newCourier(f *Framework) *courier {
	return &courier{master: f.Master, log: f.Log, doubt: f.doubt, ready: make(chan struct{}, 1)}
}

func (c *courier) put(call *scheduler.Call) {
	c.mu.Lock()
	c.queue = append(c.queue, call)
	c.mu.Unlock()
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *courier) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.ready:
		}
		c.mu.Lock()
		queue := c.queue
		c.queue = nil
		c.mu.Unlock()
		for _, call := range queue {
			c.deliver(ctx, call)
		}
	}
}

func (c *courier) deliver(ctx context.Context, call *scheduler.Call) {
	var tasks []string
	for pause := callAgain; ; pause = min(2*pause, callAgainMax) {
		err := c.attempt(ctx, call)
		if err == nil || ctx.Err() != nil {
			break
		}
		c.log.Warn("call to the master failed", "call", call.Type.String(), "err", err)
		if call.Type == scheduler.Call_ACCEPT {
			tasks = launched(call.Accept)
			call = calls.Decline(call.Accept.OfferIDs...).With(calls.RefuseSeconds(0))
		}
		if hopeless(err) || !sleep(ctx, pause) {
			break
		}
	}
	if len(tasks) > 0 {
		c.doubt(tasks)
	}
}

func (c *courier) attempt(ctx context.Context, call *scheduler.Call) error {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.master.Call(bounded, call)
}

// hopeless says whether the same call cannot succeed in this subscription.
func hopeless(err error) bool {
	for _, kind := range []error{
		mesosclient.ErrDisconnected, mesosclient.ErrNotSubscribed, mesosclient.ErrUnknownFramework,
		mesosclient.ErrStreamID, mesosclient.ErrNotLeader, mesosclient.ErrInvalid, mesosclient.ErrUnauthorized,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func launched(a *scheduler.Call_Accept) (ids []string) {
	for _, op := range a.Operations {
		for _, info := range op.GetLaunch().GetTaskInfos() {
			ids = append(ids, info.TaskID.Value)
		}
	}
	return ids
}
