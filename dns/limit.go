package dns

import (
	"net/netip"
	"sync"
)

// limit counts what is under way, in all and per asker, so that one container
// cannot take what the others need.
type limit struct {
	total, each int

	mu   sync.Mutex
	all  int
	held map[netip.Addr]int
}

func newLimit(total, each int) *limit {
	return &limit{total: total, each: each, held: make(map[netip.Addr]int)}
}

// take claims a place for asker; give it back with done.
func (l *limit) take(asker netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.total || l.held[asker] >= l.each {
		return false
	}
	l.all++
	l.held[asker]++
	return true
}

func (l *limit) done(asker netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.held[asker]--; l.held[asker] == 0 {
		delete(l.held, asker)
	}
}
