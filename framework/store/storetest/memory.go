// Package storetest has a store.Backend in memory for tests. It survives the store that
// uses it, and can crash before or after any write.
package storetest

import (
	"errors"
	"slices"
	"strings"
	"sync"
)

// ErrCrash is the error of every call of a Memory that has crashed.
var ErrCrash = errors.New("the store crashed")

// Memory is a Backend in memory.
type Memory struct {
	mu      sync.Mutex
	data    map[string][]byte
	written map[string]bool
	writes  int
	until   int
	lose    bool
	dead    bool
}

// NewMemory returns an empty backend that does not crash.
func NewMemory() *Memory {
	return &Memory{data: map[string][]byte{}, written: map[string]bool{}, until: -1}
}

// CrashAfter makes the n-th batch from now fail and crash the backend. The batch is kept
// unless lose is set.
func (m *Memory) CrashAfter(n int, lose bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.until, m.lose = m.writes+n, lose
}

// Reopen ends a crash. Everything that was kept is still there.
func (m *Memory) Reopen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead, m.until = false, -1
}

// Crashed reports whether the backend has crashed and was not reopened.
func (m *Memory) Crashed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// Keys returns the keys that begin with prefix, in order.
func (m *Memory) Keys(prefix string) (keys []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.data {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Written reports whether a value was ever stored under a key, even if it was deleted since.
func (m *Memory) Written(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.written[key]
}

// Load implements store.Backend.
func (m *Memory) Load(fn func(string, []byte) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return ErrCrash
	}
	for key, value := range m.data {
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
		m.written[key] = true
		if m.data[key] = value; value == nil {
			delete(m.data, key)
		}
	}
	if m.dead {
		return ErrCrash
	}
	return nil
}

// Close implements store.Backend.
func (m *Memory) Close() error { return nil }
