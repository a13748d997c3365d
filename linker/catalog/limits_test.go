package catalog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"tombolo/linker/catalog"
	"tombolo/linker/record"
)

// flood merges n packets and returns how many the catalog took.
func flood(c *catalog.Catalog, n int, packet func(i int) []byte) (taken int) {
	for i := range n {
		if news, err := c.Merge(packet(i)); err != nil {
			panic(err)
		} else if news != "" {
			taken++
		}
	}
	return taken
}

// hostile returns an endpoint of a host.
func hostile(host string, i int) record.Record {
	return from(host, record.Version{Epoch: 1, Seq: 1}, endpoint(fmt.Sprintf("%s-%d", host, i), "x"))
}

func packed(r record.Record) []byte {
	packet, err := record.Encode(r)
	if err != nil {
		panic(err)
	}
	return packet
}

// padded returns the packet of r with a field of size bytes that only a newer version knows.
func padded(r record.Record, size int) []byte {
	b := protowire.AppendTag(packed(r), 1000, protowire.BytesType)
	return protowire.AppendBytes(b, make([]byte, size))
}

// Where the gossip has no key, a stranger writes any record. It exhausts no linker.
func TestAStrangerCannotFillTheCatalog(t *testing.T) {
	const large = 900 << 10
	one := record.Version{Epoch: 1, Seq: 1}
	gone := func(i int) []byte { return packed(tombstone(hostile("h2", i))) }
	tests := map[string]struct {
		n      int
		packet func(i int) []byte
		most   int
		says   string
	}{
		"with hosts":              {catalog.MaxHosts + 50, func(i int) []byte { return packed(hostile(fmt.Sprint("h", i+2), 0)) }, catalog.MaxHosts, "hosts"},
		"with endpoints":          {catalog.MaxRecordsHost + 50, func(i int) []byte { return packed(hostile("h2", i)) }, catalog.MaxRecordsHost, "host h2: limit of the catalog: more than 1024 records of one host"},
		"with large records":      {30, func(i int) []byte { return padded(hostile("h2", i), large) }, catalog.MaxBytesHost / large, "bytes of records of one host"},
		"with large ones of many": {200, func(i int) []byte { return padded(hostile(fmt.Sprint("h", i+2), 0), large) }, catalog.MaxBytesHosts / large, "bytes of the records of all hosts"},
		"with apps":               {catalog.MaxApps + 50, func(i int) []byte { return packed(app(fmt.Sprint("a", i), one)) }, catalog.MaxApps, "apps"},
		"with large apps":         {100, func(i int) []byte { return padded(app(fmt.Sprint("a", i), one), large) }, catalog.MaxBytesApps / large, "bytes of all app records"},
		"with tombstones":         {catalog.MaxTombstones + 50, gone, catalog.MaxTombstones, "tombstones"},
		"with tombstones of apps": {catalog.MaxTombstones + 50, func(i int) []byte { return packed(tombstone(app(fmt.Sprint("a", i), one))) }, catalog.MaxTombstones, "tombstones"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := catalog.New("h1", 5)
			put(t, c, endpoint("mine", "x"))
			c.DrainOutbox()
			taken := flood(c, tt.n, tt.packet)
			if taken > tt.most || taken < tt.most/2 {
				t.Errorf("the catalog took %d of %d records, want about %d", taken, tt.n, tt.most)
			}
			n, reasons := c.Counters()["refused"], c.Refused()
			if n == 0 || len(reasons) == 0 || len(reasons) > 10 || !errors.Is(reasons[0], catalog.ErrLimit) || !strings.Contains(reasons[0].Error(), tt.says) {
				t.Errorf("%d records were refused with the reasons %v, want between 1 and 10 that say %q", n, reasons, tt.says)
			}
			if again := c.Refused(); len(again) > 0 {
				t.Errorf("the reasons %v are told again", again)
			}
			if changed, err := c.Put(endpoint("mine too", "x")); !changed || err != nil {
				t.Errorf("this host's own record was not taken: %v", err)
			}
		})
	}
}

// A stranger writes records as if they were this host's own, which then deletes them.
func TestForgedRecordsOfThisHostMakeFewTombstones(t *testing.T) {
	c := catalog.New("h1", 5)
	c.DeleteLeftovers()
	flood(c, catalog.MaxTombstones+50, func(i int) []byte { return packed(hostile("h1", i)) })
	if sent := len(c.DrainOutbox()); sent > catalog.MaxTombstones {
		t.Errorf("%d tombstones go to the peers, want at most %d", sent, catalog.MaxTombstones)
	}
}

// Records that are made and deleted in turn leave a bounded number of tombstones, and the
// room of deleted records is free again.
func TestRoomOfDeletedRecordsIsFreeAgain(t *testing.T) {
	c := catalog.New("h1", 5)
	const rounds, each = 130, 1000
	for round := range rounds {
		live := func(i int) []byte { return packed(hostile("h2", round*each+i)) }
		if taken := flood(c, each, live); taken != each {
			t.Fatalf("in round %d the catalog took %d records, want all %d: those of earlier rounds were deleted", round, taken, each)
		}
		flood(c, each, func(i int) []byte {
			r := tombstone(hostile("h2", round*each+i))
			r.Version.Seq++
			return packed(r)
		})
	}
	known := 0
	for i := range rounds * each {
		if _, ok := c.Get(record.Key{Kind: record.KindEndpoint, Name: fmt.Sprintf("h2-%d", i)}, "h2"); ok {
			known++
		}
	}
	if most := catalog.MaxTombstones + catalog.MaxTombstones/10; known > most {
		t.Errorf("the catalog has %d tombstones, want at most %d", known, most)
	}
}

// A record that is known may always become smaller, and a newer state of it may always
// come, if it is not larger.
func TestAFullCatalogTakesNewStatesOfKnownRecords(t *testing.T) {
	c := catalog.New("h1", 5)
	flood(c, catalog.MaxRecordsHost+1, func(i int) []byte { return packed(hostile("h2", i)) })
	next := hostile("h2", 0)
	next.Version.Seq++
	if !merge(c, next) {
		t.Error("a new state of a known record was refused")
	}
	gone := tombstone(next)
	gone.Version.Seq++
	if !merge(c, gone) {
		t.Error("a tombstone of a known record was refused")
	}
	if !merge(c, hostile("h2", catalog.MaxRecordsHost+1)) {
		t.Error("a record was refused although another one had left room")
	}
}
