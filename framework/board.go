package framework

import (
	"reflect"
	"sync"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

// board shows the newest snapshot to other goroutines.
type board struct {
	mu       sync.Mutex
	snapshot *api.Snapshot
	changed  chan struct{} // closed by the next snapshot
}

func newBoard(info api.Info) *board {
	return &board{
		snapshot: &api.Snapshot{Info: info, Apps: map[string]api.Status{}, Spec: map[string]app.App{}},
		changed:  make(chan struct{}),
	}
}

// publish shows next, if it differs from the snapshot before.
func (b *board) publish(next *api.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reflect.DeepEqual(next, b.snapshot) {
		return
	}
	b.snapshot = next
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *board) get() (*api.Snapshot, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.snapshot, b.changed
}
