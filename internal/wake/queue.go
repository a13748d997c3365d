package wake

import "sync"

// Queue carries values to one reader, in the order in which they were put. It has no
// bound, so that two goroutines that send to each other cannot deadlock; the senders
// bound what they put. Make one with NewQueue.
type Queue[T any] struct {
	ready Signal

	mu    sync.Mutex
	items []T
}

// NewQueue returns an empty queue.
func NewQueue[T any]() *Queue[T] { return &Queue[T]{ready: NewSignal()} }

// Ready tells the reader that Take has something to return.
func (q *Queue[T]) Ready() <-chan struct{} { return q.ready }

// Put appends a value and returns how many values are waiting. It never blocks.
func (q *Queue[T]) Put(v T) (waiting int) {
	q.mu.Lock()
	q.items = append(q.items, v)
	waiting = len(q.items)
	q.mu.Unlock()
	q.ready.Notify()
	return waiting
}

// Take removes all waiting values and returns them, oldest first.
func (q *Queue[T]) Take() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = nil
	return items
}
