package attach

import (
	"context"
	"fmt"
	"sync"
)

// endpointLocks lets one operation on an endpoint run at a time. Docker's next call may
// come while one that it gave up is still under way.
type endpointLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // by endpoint ID, while an operation runs; closed at its end
}

// with runs f while no other operation on the endpoint runs. It returns an error if ctx
// ends while one does.
func (l *endpointLocks) with(ctx context.Context, id string, f func() error) error {
	for other := l.tryLock(id); other != nil; other = l.tryLock(id) {
		select {
		case <-other:
		case <-ctx.Done():
			return fmt.Errorf("endpoint %s is busy with an earlier call: %w", Short(id), ctx.Err())
		}
	}
	defer l.unlock(id)
	return f()
}

// tryLock takes the lock, or returns the channel of the operation that holds it.
func (l *endpointLocks) tryLock(id string) (other <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if held := l.held[id]; held != nil {
		return held
	}
	l.held[id] = make(chan struct{})
	return nil
}

func (l *endpointLocks) unlock(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.held[id])
	delete(l.held, id)
}
