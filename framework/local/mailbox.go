package local

import "sync"

// mailbox is an unbounded queue between actors: put never blocks, so that two
// actors that send to each other cannot deadlock. Its length is bounded by what
// the senders keep anyway (tasks and their updates).
type mailbox[T any] struct {
	mu    sync.Mutex
	items []T

	ready chan struct{} // one slot: "look again"
}

func newMailbox[T any]() *mailbox[T] {
	return &mailbox[T]{ready: make(chan struct{}, 1)}
}

// put appends v and returns how many are queued.
func (m *mailbox[T]) put(v T) int {
	m.mu.Lock()
	m.items = append(m.items, v)
	n := len(m.items)
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
	return n
}

// take returns everything queued, oldest first. The one reader calls it after
// each receive from ready.
func (m *mailbox[T]) take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = nil
	return items
}
