package linker

import "sync"

// latch tells any number of goroutines that something has happened once and for all.
type latch struct {
	opened chan struct{} // closed by open
	open   func()        // may be called more than once
}

func newLatch() latch {
	opened := make(chan struct{})
	return latch{opened, sync.OnceFunc(func() { close(opened) })}
}
