// Package storetest holds a Backend in memory for tests: it survives the store
// that uses it, counts its writes, and can die before or after any of them.
package storetest

import (
	"errors"
	"maps"
	"sync"
)

// ErrCrash is what a Memory that has crashed answers to everything.
var ErrCrash = errors.New("the store crashed")

// Memory is a Backend in memory.
type Memory struct {
	mu     sync.Mutex
	data   map[string][]byte
	writes int
	until  int
	lose   bool
	dead   bool
}

// NewMemory returns an empty one that does not crash.
func NewMemory() *Memory { return &Memory{data: map[string][]byte{}, until: -1} }

// Writes counts the batches that were applied.
func (m *Memory) Writes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

// CrashAfter makes the n-th batch from now the last: it fails, and is kept unless
// lose is set.
func (m *Memory) CrashAfter(n int, lose bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.until, m.lose = m.writes+n, lose
}

// Reopen ends a crash. What was kept is still there.
func (m *Memory) Reopen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead, m.until = false, -1
}

// Crashed reports whether it has crashed and was not reopened.
func (m *Memory) Crashed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// Load implements store.Backend.
func (m *Memory) Load(fn func(string, []byte) error) error {
	m.mu.Lock()
	data := maps.Clone(m.data)
	dead := m.dead
	m.mu.Unlock()
	if dead {
		return ErrCrash
	}
	for key, value := range data {
		if err := fn(key, value); err != nil {
			return err
		}
	}
	return nil
}

// Apply implements store.Backend.
func (m *Memory) Apply(writes map[string][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return ErrCrash
	}
	m.writes++
	m.dead = m.writes == m.until
	if m.dead && m.lose {
		return ErrCrash
	}
	for key, value := range writes {
		if value == nil {
			delete(m.data, key)
			continue
		}
		m.data[key] = value
	}
	if m.dead {
		return ErrCrash
	}
	return nil
}

// Close implements store.Backend.
func (m *Memory) Close() error { return nil }
