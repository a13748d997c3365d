package gossiptest

import (
	"encoding/json"
	"errors"
	"maps"
	"sync"

	"tombolo/internal/wake"
)

// Table is a gossip.Delegate that maps keys to values. The larger value of a key wins.
type Table struct {
	changes wake.Broadcast

	mu   sync.Mutex
	rows map[string]string
}

// NewTable returns an empty table.
func NewTable() *Table { return &Table{rows: map[string]string{}} }

// packet returns the packet of one row.
func packet(key, value string) []byte { return encode([2]string{key, value}) }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, and maps of them, can always be encoded
	}
	return b
}

// Put sets a row and returns the packet to broadcast.
func (t *Table) Put(key, value string) []byte {
	t.set(key, value)
	return packet(key, value)
}

// Merge implements gossip.Delegate.
func (t *Table) Merge(packet []byte) (news string, err error) {
	var row [2]string
	if err := json.Unmarshal(packet, &row); err != nil {
		return "", err
	}
	if row[0] == "" {
		return "", errors.New("no key")
	}
	if !t.set(row[0], row[1]) {
		return "", nil
	}
	return row[0], nil
}

func (t *Table) set(key, value string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if value <= t.rows[key] {
		return false
	}
	t.rows[key] = value
	t.changes.Notify()
	return true
}

// Digest implements gossip.Delegate. The digest is all of the table.
func (t *Table) Digest() []byte { return encode(t.Rows()) }

// Missing implements gossip.Delegate.
func (t *Table) Missing(digest []byte) ([][]byte, error) {
	var theirs map[string]string
	if err := json.Unmarshal(digest, &theirs); err != nil {
		return nil, err
	}
	var packets [][]byte
	for key, value := range t.Rows() {
		if value > theirs[key] {
			packets = append(packets, packet(key, value))
		}
	}
	return packets, nil
}

// Rows returns a copy of all rows.
func (t *Table) Rows() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.rows)
}

// Wait returns true once ok is true of the rows. When done is closed, it returns whether
// ok is true then.
func (t *Table) Wait(done <-chan struct{}, ok func(map[string]string) bool) bool {
	changes, cancel := t.changes.Watch()
	defer cancel()
	for {
		if ok(t.Rows()) {
			return true
		}
		select {
		case <-changes:
		case <-done:
			return ok(t.Rows())
		}
	}
}
