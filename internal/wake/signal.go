package wake

import "sync"

// Signal tells one receiver to look again. Any number of calls of Notify before the
// receiver looks count as one. Make one with NewSignal; receive from it as from any
// channel.
type Signal chan struct{}

// NewSignal returns a Signal on which nothing has been notified yet.
func NewSignal() Signal {
	return make(Signal, 1) // one slot: a second notification before the first is received adds nothing
}

// Notify wakes the receiver. It never blocks.
func (s Signal) Notify() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Broadcast tells every watcher to look again. The zero value is ready to use.
type Broadcast struct {
	mu       sync.Mutex
	watchers map[Signal]bool
}

// Watch returns a channel on which the watcher is told to look again, at once and
// after each Notify. The watcher calls cancel when it stops watching.
func (b *Broadcast) Watch() (changes <-chan struct{}, cancel func()) {
	s := NewSignal()
	s.Notify()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watchers == nil {
		b.watchers = map[Signal]bool{}
	}
	b.watchers[s] = true
	return s, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers, s)
	}
}

// Notify wakes every watcher. It never blocks.
func (b *Broadcast) Notify() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.watchers {
		s.Notify()
	}
}
