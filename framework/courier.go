package framework

import (
	"context"
	"log/slog"
	"sync"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// courier makes calls to the master in their order, so that nobody who decides
// waits for the network. A call that fails is lost: every one of them is repeated
// by whoever still needs it (kills, reconciliation) or answered by the master
// (offers that were not used are rescinded, updates not acknowledged come again).
type courier struct {
	master Master
	log    *slog.Logger
	ready  chan struct{}

	mu    sync.Mutex
	queue []*scheduler.Call
}

func newCourier(master Master, log *slog.Logger) *courier {
	return &courier{master: master, log: log, ready: make(chan struct{}, 1)}
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
			c.make(ctx, call)
		}
	}
}

func (c *courier) make(ctx context.Context, call *scheduler.Call) {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := c.master.Call(bounded, call); err != nil && ctx.Err() == nil {
		c.log.Warn("call to the master failed", "call", call.Type.String(), "err", err)
	}
}
