package attach

import (
	"context"
	"fmt"
	"sync"
)

// endpointLocks lets one operation on an endpoint run at a time. Docker's next call may
// come while one that it gave up is still under way.
type endpointLocks struct {
	held sync.Map // endpoint ID -> the running operation's chan struct{}, which is closed at its end
}

// with runs f while no other operation on the endpoint runs. It returns an error if ctx
// ends while one does.
func (l *endpointLocks) with(ctx context.Context, id string, f func() error) error {
	done := make(chan struct{})
	for other, busy := l.held.LoadOrStore(id, done); busy; other, busy = l.held.LoadOrStore(id, done) {
		select {
		case <-other.(chan struct{}):
		case <-ctx.Done():
			return fmt.Errorf("endpoint %s is busy with an earlier call: %w", Short(id), ctx.Err())
		}
	}
	defer close(done)
	defer l.held.Delete(id)
	return f()
}
