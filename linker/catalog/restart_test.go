package catalog_test

import (
	"testing"
	"time"

	"tombolo/linker/catalog"
	"tombolo/linker/record"
)

// The records that a restarted host sends, after its peers told it what they remember.
func TestRestartedHostCorrectsItsPeers(t *testing.T) {
	old := record.Version{Epoch: 9, Seq: 7}
	tests := map[string]struct {
		put      []record.Record
		complete bool // DeleteLeftovers is called before the peers speak
		peers    []record.Record
		late     bool // DeleteLeftovers is called after the peers spoke
		want     []string
		epoch    uint64
	}{
		"peers remember nothing": {
			put: []record.Record{endpoint("e1", "a")}, complete: true,
			want: []string{"e1 5.1 a"}, epoch: 5,
		},
		"peers remember an older state": {
			put: []record.Record{endpoint("e1", "a")}, complete: true,
			peers: []record.Record{from("h1", record.Version{Epoch: 4, Seq: 100}, endpoint("e1", "b"))},
			want:  []string{"e1 5.1 a"}, epoch: 5,
		},
		"the clock was set back": {
			put: []record.Record{endpoint("e1", "a")}, complete: true,
			peers: []record.Record{from("h1", old, endpoint("e1", "b"))},
			want:  []string{"e1 10.1 a"}, epoch: 10,
		},
		"deleted in the earlier run": {
			put: []record.Record{endpoint("e1", "a")}, complete: true,
			peers: []record.Record{tombstone(from("h1", old, endpoint("e1", "b")))},
			want:  []string{"e1 10.1 a"}, epoch: 10,
		},
		"not Put, incomplete": {
			peers: []record.Record{from("h1", old, endpoint("e1", "b"))},
			epoch: 10,
		},
		"not Put, complete after the peers spoke": {
			peers: []record.Record{from("h1", old, endpoint("e1", "b"))}, late: true,
			want: []string{"e1 10.1 deleted"}, epoch: 10,
		},
		"not Put, complete before the peers spoke": {
			complete: true,
			peers:    []record.Record{from("h1", old, endpoint("e1", "b"))},
			want:     []string{"e1 10.1 deleted"}, epoch: 10,
		},
		"peers remember a tombstone": {
			complete: true,
			peers:    []record.Record{tombstone(from("h1", old, endpoint("e1", "b")))},
			epoch:    10,
		},
		"forged, with the last possible epoch": {
			put: []record.Record{endpoint("e1", "a")}, complete: true,
			peers: []record.Record{from("h1", record.Version{Epoch: record.MaxEpoch, Seq: 1}, endpoint("e1", "b")),
				from("h1", record.Version{Epoch: record.MaxEpoch, Seq: 1}, endpoint("e2", "b"))},
			want: []string{"e1 5.1 a"}, epoch: 5,
		},
		"same version, other content": {
			put: []record.Record{endpoint("e1", "a")}, complete: true,
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
			if tt.complete {
				c.DeleteLeftovers()
			}
			for _, r := range tt.peers {
				merge(c, r)
			}
			if tt.late {
				c.DeleteLeftovers()
			}
			wantLines(t, drain(t, c), tt.want...)
			if c.Epoch() != tt.epoch {
				t.Errorf("the next record gets epoch %d, want %d", c.Epoch(), tt.epoch)
			}
		})
	}
}

func TestRecordsOfPeersAreKeptUntilDeleteLeftovers(t *testing.T) {
	c := catalog.New("h1", 5)
	merge(c, from("h1", record.Version{Epoch: 9, Seq: 7}, endpoint("e1", "a")))
	merge(c, from("h1", record.Version{Epoch: 9, Seq: 8}, endpoint("e2", "b")))
	if got := len(c.Snapshot().Endpoints); got != 2 {
		t.Fatalf("before DeleteLeftovers the catalog has %d endpoints, want the 2 that peers remember", got)
	}
	put(t, c, endpoint("e1", "a"))
	c.DeleteLeftovers()
	wantLines(t, drain(t, c), "e2 10.1 deleted")
}

// A peer brings a record that was deleted so long ago that its tombstone is gone.
func TestOldRecordIsDeletedAgain(t *testing.T) {
	c := catalog.New("h1", 5)
	put(t, c, endpoint("e1", "a"))
	stale, _ := c.Get(record.Key{Kind: record.KindEndpoint, Name: "e1"}, "h1")
	c.DeleteLeftovers()
	c.Delete(stale.Key)
	c.DrainOutbox()
	now := time.Now()
	c.DropOldTombstones(now, time.Hour)
	c.DropOldTombstones(now.Add(time.Hour), time.Hour)
	if merge(c, stale) {
		t.Error("Merge kept a record that its host has deleted")
	}
	wantLines(t, drain(t, c), "e1 5.3 deleted")
}
