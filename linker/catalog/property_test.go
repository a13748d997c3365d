package catalog_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tombolo/linker/catalog"
	"tombolo/linker/record"
	"tombolo/linker/record/recordtest"
)

// state returns everything that a catalog shows, without the index of its snapshot.
func state(c *catalog.Catalog, records []record.Record) map[string]any {
	s := *c.Snapshot()
	s.Index, s.Suspended = 0, nil
	known := map[string]record.Record{}
	for _, r := range records {
		if now, ok := c.Get(r.Key, r.Owner); ok {
			known[string(r.Kind)+r.Owner+"/"+r.Name] = now
		}
	}
	return map[string]any{"snapshot": s, "records": known, "digest": c.Digest()}
}

// The same records make the same catalog, in any order and with repetitions.
func TestMergeIsCommutativeAssociativeAndIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(recordtest.Any(), 1, 8).Draw(t, "records")
		a, b := catalog.New("a", 1), catalog.New("b", 1)
		for _, r := range records {
			merge(a, r)
		}
		for _, r := range rapid.Permutation(append(records, records...)).Draw(t, "order") {
			merge(b, r)
		}
		want := state(a, records)
		if d := cmp.Diff(want, state(b, records), exact); d != "" {
			t.Fatalf("the same records in another order make another catalog (-first order +second):\n%s", d)
		}
		for _, r := range records {
			if merge(a, r) {
				t.Fatalf("merging %v again changed the catalog", r)
			}
		}
		if d := cmp.Diff(want, state(a, records), exact); d != "" {
			t.Fatalf("merging all records again changed the catalog (-before +after):\n%s", d)
		}
	})
}

// exchange does with two catalogs what gossip's push/pull does.
func exchange(t *rapid.T, a, b *catalog.Catalog) (sent int) {
	da, db := a.Digest(), b.Digest()
	for _, way := range []struct {
		from, to *catalog.Catalog
		digest   []byte
	}{{a, b, db}, {b, a, da}} {
		packets, err := way.from.Missing(way.digest)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets {
			if _, err := way.to.Merge(p); err != nil {
				t.Fatal(err)
			}
		}
		sent += len(packets)
	}
	return sent
}

func TestOneDigestExchangeMakesCatalogsEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := catalog.New("a", 1), catalog.New("b", 1)
		for _, r := range rapid.SliceOfN(recordtest.Any(), 0, 8).Draw(t, "records") {
			switch rapid.IntRange(0, 2).Draw(t, "who") {
			case 0:
				merge(a, r)
			case 1:
				merge(b, r)
			default:
				merge(a, r)
				merge(b, r)
			}
		}
		exchange(t, a, b)
		sa, sb := *a.Snapshot(), *b.Snapshot()
		sa.Index, sb.Index = 0, 0
		if d := cmp.Diff(sa, sb, exact); d != "" {
			t.Fatalf("snapshots after the exchange differ (-a +b):\n%s", d)
		}
		if n := exchange(t, a, b); n != 0 {
			t.Fatalf("the second exchange sent %d packets, want none", n)
		}
	})
}

// cluster is a few hosts that put and delete records, lose packets, lose their disks, and
// exchange digests now and then.
type cluster struct {
	hosts []string
	cats  map[string]*catalog.Catalog
	truth map[string]map[string]string // host -> endpoint -> content
}

func (cl *cluster) deliver(t *rapid.T, host string) {
	for _, packet := range cl.cats[host].DrainOutbox() {
		for _, peer := range cl.hosts {
			if peer == host || rapid.IntRange(0, 2).Draw(t, "lost") == 0 {
				continue
			}
			if _, err := cl.cats[peer].Merge(packet.Wire); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (cl *cluster) put(t *rapid.T, host, id, what string) {
	r := endpoint(id, what)
	r.Endpoint.Host = host
	if _, err := cl.cats[host].Put(r); err != nil {
		t.Fatal(err)
	}
	cl.truth[host][id] = what
}

// restart loses the host's disk and resets its clock.
func (cl *cluster) restart(t *rapid.T, host string) {
	cl.cats[host] = catalog.New(host, 1)
	for id, what := range cl.truth[host] {
		cl.put(t, host, id, what)
	}
	if rapid.Bool().Draw(t, "exchange before the leftovers are deleted") {
		exchange(t, cl.cats[host], cl.cats[rapid.SampledFrom(cl.hosts).Draw(t, "peer")])
	}
	cl.cats[host].DeleteLeftovers()
}

func (cl *cluster) step(t *rapid.T) {
	host := rapid.SampledFrom(cl.hosts).Draw(t, "host")
	id := "e" + fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "endpoint")) // several hosts may use one
	switch rapid.SampledFrom([]string{"put", "put", "delete", "restart", "exchange", "deliver"}).Draw(t, "do") {
	case "put":
		cl.put(t, host, id, fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "content")))
	case "delete":
		cl.cats[host].Delete(record.Key{Kind: record.KindEndpoint, Name: id})
		delete(cl.truth[host], id)
	case "restart":
		cl.restart(t, host)
	case "exchange":
		exchange(t, cl.cats[host], cl.cats[rapid.SampledFrom(cl.hosts).Draw(t, "peer")])
	case "deliver":
		cl.deliver(t, host)
	}
}

// converge lets all hosts exchange digests until nothing is left to send.
func (cl *cluster) converge(t *rapid.T) {
	for range 4 { // an old record takes a round to reach its owner; its new tombstone takes two to reach all
		for _, a := range cl.hosts {
			for _, b := range cl.hosts {
				exchange(t, cl.cats[a], cl.cats[b])
			}
			cl.cats[a].DrainOutbox()
		}
	}
}

// In the end every host's catalog holds exactly the endpoints that exist, whatever was lost.
func TestClusterConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cl := &cluster{
			hosts: []string{"h1", "h2", "h3"},
			cats:  map[string]*catalog.Catalog{}, truth: map[string]map[string]string{},
		}
		for _, h := range cl.hosts {
			cl.cats[h], cl.truth[h] = catalog.New(h, 1), map[string]string{}
			cl.cats[h].DeleteLeftovers()
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			cl.step(t)
		}
		cl.converge(t)
		want := map[string]string{}
		for host, has := range cl.truth {
			for id, what := range has {
				want[record.EndpointKey(host, id)] = what
			}
		}
		for _, h := range cl.hosts {
			got := map[string]string{}
			for key, e := range cl.cats[h].Snapshot().Endpoints {
				got[key] = e.Container
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("endpoints that %s knows (-exist +known):\n%s", h, d)
			}
		}
	})
}

func FuzzMissing(f *testing.F) {
	c := catalog.New("h1", 1)
	if _, err := c.Put(endpoint("e1", "a")); err != nil {
		f.Fatal(err)
	}
	f.Add(c.Digest())
	f.Add([]byte{})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, digest []byte) {
		if packets, err := c.Missing(digest); err == nil && len(packets) > 1 {
			t.Fatalf("Missing returned %d packets of a catalog that holds one record", len(packets))
		}
	})
}
