package catalog_test

import (
	"testing"
	"time"

	"tombolo/linker/catalog"
	"tombolo/linker/record"
)

// What a restarted linker does with what peers remember of it.
func TestRestart(t *testing.T) {
	old := record.Version{Epoch: 9, Seq: 7}
	tests := map[string]struct {
		put     []record.Record
		settled bool
		peers   []record.Record
		settle  bool // after the peers spoke
		want    []string
		epoch   uint64
	}{
		"nothing remembered": {
			put: []record.Record{endpoint("e1", "a")}, settled: true,
			want: []string{"e1 5.1 a"}, epoch: 5,
		},
		"an older state": {
			put: []record.Record{endpoint("e1", "a")}, settled: true,
			peers: []record.Record{from("h1", record.Version{Epoch: 4, Seq: 100}, endpoint("e1", "b"))},
			want:  []string{"e1 5.1 a"}, epoch: 5,
		},
		"the clock went back": {
			put: []record.Record{endpoint("e1", "a")}, settled: true,
			peers: []record.Record{from("h1", old, endpoint("e1", "b"))},
			want:  []string{"e1 10.1 a"}, epoch: 10,
		},
		"deleted in the other life": {
			put: []record.Record{endpoint("e1", "a")}, settled: true,
			peers: []record.Record{tombstone(from("h1", old, endpoint("e1", "b")))},
			want:  []string{"e1 10.1 a"}, epoch: 10,
		},
		"not looked at Docker yet": {
			peers: []record.Record{from("h1", old, endpoint("e1", "b"))},
			epoch: 10,
		},
		"looked, and gone": {
			peers: []record.Record{from("h1", old, endpoint("e1", "b"))}, settle: true,
			want: []string{"e1 10.1 deleted"}, epoch: 10,
		},
		"gone before it is told": {
			settled: true,
			peers:   []record.Record{from("h1", old, endpoint("e1", "b"))},
			want:    []string{"e1 10.1 deleted"}, epoch: 10,
		},
		"a tombstone of its own": {
			settled: true,
			peers:   []record.Record{tombstone(from("h1", old, endpoint("e1", "b")))},
			epoch:   10,
		},
		"forged, of the last epoch that there is": {
			put: []record.Record{endpoint("e1", "a")}, settled: true,
			peers: []record.Record{from("h1", record.Version{Epoch: record.MaxEpoch, Seq: 1}, endpoint("e1", "b")),
				from("h1", record.Version{Epoch: record.MaxEpoch, Seq: 1}, endpoint("e2", "b"))},
			want: []string{"e1 5.1 a"}, epoch: 5,
		},
		"same epoch, same number, other content": {
			put: []record.Record{endpoint("e1", "a")}, settled: true,
			peers: []record.Record{from("h1", record.Version{Epoch: 5, Seq: 1}, endpoint("e1", "zz"))},
			want:  []string{"e1 5.2 a"}, epoch: 5,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := catalog.New("h1", 5)
			for _, r := range tt.put {
				put(t, c, r)
			}
			if tt.settled {
				c.DeleteLeftovers()
			}
			for _, r := range tt.peers {
				c.Merge(r)
			}
			if tt.settle {
				c.DeleteLeftovers()
			}
			wantLines(t, c.DrainOutbox(), tt.want...)
			if c.Epoch() != tt.epoch {
				t.Errorf("epoch %d, want %d", c.Epoch(), tt.epoch)
			}
		})
	}
}

func TestRememberedThenPut(t *testing.T) {
	c := catalog.New("h1", 5)
	c.Merge(from("h1", record.Version{Epoch: 9, Seq: 7}, endpoint("e1", "a")))
	c.Merge(from("h1", record.Version{Epoch: 9, Seq: 8}, endpoint("e2", "b")))
	if got := len(c.Snapshot().Endpoints); got != 2 {
		t.Fatalf("%d endpoints before Docker was looked at, want 2", got)
	}
	put(t, c, endpoint("e1", "a"))
	c.DeleteLeftovers()
	wantLines(t, c.DrainOutbox(), "e2 10.1 deleted")
}

// A record deleted so long ago that the tombstone is gone is deleted again when
// it shows up.
func TestZombie(t *testing.T) {
	c := catalog.New("h1", 5)
	put(t, c, endpoint("e1", "a"))
	zombie, _ := c.Get(record.Key{Kind: record.KindEndpoint, Name: "e1"})
	c.DeleteLeftovers()
	c.Delete(zombie.Key)
	c.DrainOutbox()
	now := time.Now()
	c.DropOldTombstones(now, time.Hour)
	c.DropOldTombstones(now.Add(time.Hour), time.Hour)
	if c.Merge(zombie) {
		t.Error("taken in")
	}
	wantLines(t, c.DrainOutbox(), "e1 5.3 deleted")
}
