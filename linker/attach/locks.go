package attach

import (
	"context"
	"fmt"
	"sync"
)

// endpointLocks lets one operation on an endpoint run at a time. Docker's next call may
// come while one that it gave up is still under way.
type endpointLocks struct {
	mu    sync.Mutex
	locks map[string]*endpointLock // by endpoint ID, while someone holds or awaits one
}

type endpointLock struct {
	held  chan struct{} // holds a value while an operation runs
	users int           // operations that run or wait
}

// with runs f while no other operation on the endpoint runs. It returns an error if
// ctx ends before f's turn comes.
func (l *endpointLocks) with(ctx context.Context, id string, f func() error) error {
	lock := l.join(id)
	defer l.leave(id, lock)
	select {
	case lock.held <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("endpoint %s is busy with an earlier call: %w", Short(id), ctx.Err())
	}
	defer func() { <-lock.held }()
	return f()
}

func (l *endpointLocks) join(id string) *endpointLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock := l.locks[id]
	if lock == nil {
		lock = &endpointLock{held: make(chan struct{}, 1)}
		l.locks[id] = lock
	}
	lock.users++
	return lock
}

func (l *endpointLocks) leave(id string, lock *endpointLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lock.users--; lock.users == 0 {
		delete(l.locks, id)
	}
}
