package catalog_test

import (
	"fmt"
	"runtime"
	"testing"

	"tombolo/linker/catalog"
	"tombolo/linker/record"
)

// large returns a catalog of hosts with 50 endpoints each.
func large(tb testing.TB, hosts int) *catalog.Catalog {
	tb.Helper()
	c := catalog.New("h0", 1)
	for h := range hosts {
		host := fmt.Sprintf("agent-%d", h)
		for i := range 50 {
			id := fmt.Sprintf("%032x%032x", h, i)
			r := record.Record{
				Key: record.Key{Kind: record.KindEndpoint, Name: id}, Owner: host,
				Version: record.Version{Epoch: 1764000000, Seq: uint64(i + 1)},
				Endpoint: &record.Endpoint{
					ID: id, Host: host, Container: fmt.Sprintf("%064x", h*50+i), App: fmt.Sprintf("app-%d", h), Service: "web", Slot: i,
					Task: fmt.Sprintf("app-%d.web.%d.g1", h, i), Networks: map[string][]string{fmt.Sprintf("app-%d_default", h): {"www"}},
					Running: true, Health: record.HealthHealthy,
				},
			}
			packet, err := record.Encode(r)
			if err != nil {
				tb.Fatal(err)
			}
			if _, err := c.Merge(packet); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return c
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The catalog of 1,000 hosts with 50 endpoints each takes at most 120 MB, and a digest
// exchange with an equal catalog at most 32 KB.
func TestLargeCatalogTakesLittleMemory(t *testing.T) {
	before := heap()
	c := large(t, 1000)
	s := c.Snapshot()
	if mb := (heap() - before) >> 20; mb > 120 {
		t.Errorf("50,000 endpoints take %d MB, want at most 120 MB", mb)
	} else {
		t.Logf("50,000 endpoints take %d MB", mb)
	}
	if n := len(s.Endpoints); n != 50000 {
		t.Errorf("the snapshot has %d endpoints, want 50,000", n)
	}
	d := c.Digest()
	t.Logf("the digest takes %d bytes", len(d))
	if len(d) > 32<<10 {
		t.Errorf("the digest takes %d bytes, want at most 32 KB", len(d))
	}
	if packets, err := c.Missing(d); err != nil || len(packets) != 0 {
		t.Errorf("the catalog finds %d packets missing from its own digest, error %v; want none", len(packets), err)
	}
}

func BenchmarkMerge(b *testing.B) {
	c := large(b, 1)
	r, _ := c.Get(record.Key{Kind: record.KindEndpoint, Name: fmt.Sprintf("%032x%032x", 0, 1)}, "agent-0")
	for b.Loop() {
		r.Version.Seq++
		if !merge(c, r) {
			b.Fatal("a newer record changed nothing")
		}
	}
}

func BenchmarkSnapshotAfterChange(b *testing.B) {
	c := large(b, 1000)
	r, _ := c.Get(record.Key{Kind: record.KindEndpoint, Name: fmt.Sprintf("%032x%032x", 0, 1)}, "agent-0")
	for b.Loop() {
		r.Version.Seq++
		merge(c, r)
		c.Snapshot()
	}
}

func BenchmarkDigest(b *testing.B) {
	c := large(b, 1000)
	for b.Loop() {
		c.Digest()
	}
}
