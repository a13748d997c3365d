package overlay

import (
	"errors"
	"testing"
)

func TestPacketsAreAddedUpOverTables(t *testing.T) {
	kernel := map[string]uint64{}
	counters := func() (map[string]uint64, error) {
		now := map[string]uint64{}
		for name, n := range kernel {
			now[name] = n
		}
		return now, nil
	}
	var b packetBook
	steps := []struct {
		name    string
		do      func()
		forged  uint64
		refused uint64
	}{
		{"nothing was counted", func() {}, 0, 0},
		{"packets were counted", func() { kernel["forged"], kernel["refused"] = 3, 1 }, 3, 1},
		{"nothing has changed", func() {}, 3, 1},
		{"we replace the table, after more packets", func() {
			kernel["forged"] = 5
			if err := b.replace(counters, func() error { clear(kernel); return nil }); err != nil {
				t.Error(err)
			}
		}, 5, 1},
		{"the new table counts more than the old one had", func() { kernel["forged"] = 9 }, 14, 1},
		{"a replacement fails", func() {
			if err := b.replace(counters, func() error { return errors.New("no") }); err == nil {
				t.Error("replace hides the error of write")
			}
		}, 14, 1},
		{"another program deletes the table", func() { clear(kernel) }, 14, 1},
		{"it is there again", func() { kernel["forged"], kernel["refused"] = 1, 1 }, 15, 2},
	}
	for _, s := range steps {
		s.do()
		got, err := b.read(counters)
		if err != nil || got["forged"] != s.forged || got["refused"] != s.refused {
			t.Errorf("%s: the sums are %v (%v), want %d forged and %d refused", s.name, got, err, s.forged, s.refused)
		}
	}
	if _, err := b.read(func() (map[string]uint64, error) { return nil, errors.New("no") }); err == nil {
		t.Error("read hides that the counters cannot be read")
	}
}
