package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tombolo/linker/record"
)

// After any sequence of changes, a catalog counts exactly the entries that it has. Otherwise it
// would refuse records for ever, or accept too many.
func TestUsageIsThatOfTheEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New("h1", 5)
		now := time.Unix(1_700_000_000, 0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			step(t, c, now)
			now = now.Add(time.Minute)
			want := newUsage()
			for _, e := range c.entries {
				want.add(e, +1)
			}
			got := c.usage
			got.refused, got.reasons = 0, want.reasons
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(usage{}, share{})); diff != "" {
				t.Fatalf("usage (-entries +counted):\n%s", diff)
			}
		}
	})
}

func step(t *rapid.T, c *Catalog, now time.Time) {
	owner := rapid.SampledFrom([]string{"h1", "h2", "h3"}).Draw(t, "owner")
	r := record.Record{
		Key:     record.Key{Kind: record.KindEndpoint, Name: fmt.Sprint("e", rapid.IntRange(0, 4).Draw(t, "name"))},
		Owner:   owner,
		Version: record.Version{Epoch: rapid.Uint64Range(1, 9).Draw(t, "epoch"), Seq: rapid.Uint64Range(0, 3).Draw(t, "seq")},
	}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		r.Kind, r.Name = record.KindHost, owner
		r.Host = &record.Host{Name: owner}
	case 1:
		r.Kind = record.KindApp
		r.App = &record.App{Name: r.Name, Revision: rapid.Uint64Range(0, 1<<40).Draw(t, "revision")}
	default:
		r.Endpoint = &record.Endpoint{ID: r.Name, Host: owner, Hostname: rapid.StringMatching(`[a-z]{0,40}`).Draw(t, "hostname")}
	}
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0:
		if r.Kind != record.KindApp && owner == c.owner {
			_, _ = c.Put(r) // a record that another host has taken over is refused
		}
	case 1:
		c.Delete(r.Key)
	case 2:
		c.DropOldTombstones(now, 3*time.Minute)
	case 3:
		c.DeleteLeftovers()
		c.DrainOutbox()
	case 4:
		r.Deleted, r.Host, r.Endpoint, r.App = true, nil, nil, nil
		fallthrough
	default:
		packet, err := record.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Merge(packet); err != nil {
			t.Fatal(err)
		}
	}
}
