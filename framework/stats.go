package framework

import (
	"maps"
	"sync"
)

// Stats are counts of what no snapshot shows.
type Stats struct {
	Offers      int               // held now
	Calls       map[string]uint64 // to the master that it has taken, by type, such as ACCEPT
	FailedCalls map[string]uint64 // attempts that failed, by type; all but ACCEPT are repeated
}

// Stats returns the counts since the framework started. Any goroutine may call it.
func (f *Framework) Stats() Stats {
	s := f.out.calls.counts.get()
	s.Offers = int(f.offersHeld.Load())
	return s
}

// callCounts counts calls. The zero value is ready for use.
type callCounts struct {
	mu           sync.Mutex
	made, failed map[string]uint64 // by type
}

func (c *callCounts) add(kind string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made, c.failed = map[string]uint64{}, map[string]uint64{}
	}
	if err != nil {
		c.failed[kind]++
	} else {
		c.made[kind]++
	}
}

func (c *callCounts) get() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{Calls: maps.Clone(c.made), FailedCalls: maps.Clone(c.failed)}
}
