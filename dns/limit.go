package dns

import (
	"net/netip"
	"sync"
)

// limit bounds the number of things under way for each asker and in total, so that one container
// cannot use up what the others need.
type limit struct {
	total, each int

	mu   sync.Mutex
	all  int
	held map[netip.Addr]int
}

func newLimit(total, each int) *limit {
	return &limit{total: total, each: each, held: make(map[netip.Addr]int)}
}

// acquire counts one more for asker, or returns false if that exceeds a limit. Call release
// after it has returned true.
func (l *limit) acquire(asker netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.total || l.held[asker] >= l.each {
		return false
	}
	l.all++
	l.held[asker]++
	return true
}

func (l *limit) release(asker netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.held[asker]--; l.held[asker] == 0 {
		delete(l.held, asker)
	}
}
