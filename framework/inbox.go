package framework

import "sync"

// inbox queues what the framework's goroutine is to do. It is unbounded: those
// who put must not wait for one who waits for them, and what comes in is bounded
// by what the framework itself has asked for.
type inbox struct {
	ready chan struct{} // of one: a second signal before the first is read says no more

	mu    sync.Mutex
	queue []func()
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (i *inbox) put(fn func()) {
	i.mu.Lock()
	i.queue = append(i.queue, fn)
	i.mu.Unlock()
	select {
	case i.ready <- struct{}{}:
	default:
	}
}

func (i *inbox) take() []func() {
	i.mu.Lock()
	defer i.mu.Unlock()
	queue := i.queue
	i.queue = nil
	return queue
}
