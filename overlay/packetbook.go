package overlay

import "sync"

// packetBook adds up the packets that the counters of our nft table have counted, over all
// tables since New: a table that is replaced, by us or after another program has deleted it,
// begins with zero. A nil packetBook keeps nothing.
type packetBook struct {
	mu    sync.Mutex
	ended map[string]uint64 // by counters of earlier tables
	last  map[string]uint64 // by those of the present table, when they were last read
}

// read returns the sums. counters reads the present table.
func (b *packetBook) read(counters func() (map[string]uint64, error)) (map[string]uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, err := counters()
	if err == nil {
		b.note(now)
	}
	sums := map[string]uint64{}
	for _, part := range []map[string]uint64{b.ended, b.last} {
		for name, n := range part {
			sums[name] += n
		}
	}
	return sums, err
}

// replace calls write, which replaces the table. It reads the counters just before.
func (b *packetBook) replace(counters func() (map[string]uint64, error), write func() error) error {
	if b == nil {
		return write()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if now, err := counters(); err == nil {
		b.note(now)
	}
	err := write()
	if err == nil {
		b.end()
	}
	return err
}

// note remembers what the present table has counted. A counter that is smaller than before, or
// gone, belongs to another table. b.mu is held.
func (b *packetBook) note(now map[string]uint64) {
	for name, before := range b.last {
		if now[name] < before {
			b.end()
			break
		}
	}
	b.last = now
}

// end closes the account of the present table. b.mu is held.
func (b *packetBook) end() {
	if b.ended == nil {
		b.ended = map[string]uint64{}
	}
	for name, n := range b.last {
		b.ended[name] += n
	}
	b.last = nil
}
