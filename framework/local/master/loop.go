package master

import (
	"context"
	"errors"
	"time"

	"tombolo/internal/wake"
)

// loop runs functions one at a time on one goroutine, which owns all state of the
// master.
type loop struct {
	inbox *wake.Queue[func()]
	ended chan struct{} // closed when run has returned
}

func newLoop() *loop {
	return &loop{inbox: wake.NewQueue[func()](), ended: make(chan struct{})}
}

// run runs the posted functions until ctx ends.
func (l *loop) run(ctx context.Context) {
	defer close(l.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.inbox.Ready():
			for _, f := range l.inbox.Take() {
				f()
			}
		}
	}
}

// post makes the loop run f soon. Any goroutine may call it.
func (l *loop) post(f func()) { l.inbox.Put(f) }

var errStopped = errors.New("the master has stopped")

// ask runs f on the loop and returns its result. After an error, f may still run
// later.
func ask[T any](ctx context.Context, l *loop, f func() T) (T, error) {
	result := make(chan T, 1) // one slot: the caller may have left when f returns
	l.post(func() { result <- f() })
	var none T
	select {
	case r := <-result:
		return r, nil
	case <-ctx.Done():
		return none, ctx.Err()
	case <-l.ended:
		return none, errStopped
	}
}

// timer is a function that the loop runs later. Only the loop uses it. A nil timer
// runs nothing.
type timer struct {
	clock *time.Timer
	over  bool // the function has run, or was stopped
}

// after makes the loop run f in d.
func (l *loop) after(d time.Duration, f func()) *timer {
	t := &timer{}
	t.clock = time.AfterFunc(d, func() {
		l.post(func() {
			if !t.over { // it may have been stopped while it was in the inbox
				t.over = true
				f()
			}
		})
	})
	return t
}

// stop keeps the function from running. Stopping a timer that has fired, or a nil one,
// does nothing.
func (t *timer) stop() {
	if t != nil {
		t.over = true
		t.clock.Stop()
	}
}
