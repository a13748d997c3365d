package catalog_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tombolo/linker/catalog"
	"tombolo/linker/record"
)

var exact = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

// endpoint returns a record of an endpoint of h1; what tells its states apart.
func endpoint(id, what string) record.Record {
	return record.Record{
		Key:      record.Key{Kind: record.KindEndpoint, Name: id},
		Endpoint: &record.Endpoint{ID: id, Host: "h1", Container: what, Running: true, Health: record.HealthNone},
	}
}

// from returns a copy of r as host wrote it.
func from(host string, v record.Version, r record.Record) record.Record {
	r.Owner, r.Version = host, v
	if r.Endpoint != nil {
		e := *r.Endpoint
		e.Host, r.Endpoint = host, &e
	}
	return r
}

func tombstone(r record.Record) record.Record {
	r.Deleted, r.Host, r.Endpoint, r.App = true, nil, nil, nil
	return r
}

func app(name string, v record.Version) record.Record {
	return record.Record{
		Key: record.Key{Kind: record.KindApp, Name: name}, Owner: "fw", Version: v,
		App: &record.App{Name: name, Revision: v.Seq},
	}
}

func put(t *testing.T, c *catalog.Catalog, r record.Record) {
	t.Helper()
	if _, err := c.Put(r); err != nil {
		t.Fatal(err)
	}
}

// merge gives c a record as a peer sends it. It reports whether the catalog changed.
// putApp gives the encoded r to the catalog, as the API does.
func putApp(c *catalog.Catalog, r record.Record) error {
	packet, err := record.Encode(r)
	if err != nil {
		return err
	}
	return c.PutApp(packet)
}

func merge(c *catalog.Catalog, r record.Record) (changed bool) {
	packet, err := record.Encode(r)
	if err != nil {
		return false
	}
	news, err := c.Merge(packet)
	return err == nil && news != ""
}

// drain returns what c sends to its peers.
func drain(t testing.TB, c *catalog.Catalog) (rs []record.Record) {
	t.Helper()
	for _, packet := range c.DrainOutbox() {
		r, err := record.Decode(packet.Wire)
		if err != nil {
			t.Fatalf("the catalog sends a packet that is no record: %v", err)
		}
		rs = append(rs, r)
	}
	return rs
}

// lines formats each record as "key version content".
func lines(rs []record.Record) []string {
	out := []string{}
	for _, r := range rs {
		what := "deleted"
		switch {
		case r.Endpoint != nil:
			what = r.Endpoint.Container
		case r.App != nil:
			what = fmt.Sprint(r.App.Revision)
		}
		out = append(out, fmt.Sprintf("%s %d.%d %s", r.Name, r.Version.Epoch, r.Version.Seq, what))
	}
	return out
}

func wantLines(t *testing.T, got []record.Record, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, lines(got), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("records (-want +got):\n%s", d)
	}
}

func TestOwnRecordsAreVersionedAndQueued(t *testing.T) {
	c := catalog.New("h1", 5)
	put(t, c, endpoint("e1", "a"))
	put(t, c, endpoint("e2", "b"))
	put(t, c, endpoint("e1", "c"))
	wantLines(t, drain(t, c), "e1 5.3 c", "e2 5.2 b")
	wantLines(t, drain(t, c))

	if changed, err := c.Put(endpoint("e1", "c")); changed || err != nil {
		t.Errorf("Put of the same record again: changed %v, error %v; want no change", changed, err)
	}
	if !c.Delete(record.Key{Kind: record.KindEndpoint, Name: "e2"}) {
		t.Error("Delete of a known record changed nothing")
	}
	if c.Delete(record.Key{Kind: record.KindEndpoint, Name: "e2"}) {
		t.Error("Delete of a deleted record reports a change")
	}
	wantLines(t, drain(t, c), "e2 5.4 deleted")
	put(t, c, endpoint("e2", "back"))
	wantLines(t, drain(t, c), "e2 5.5 back")
	if got := c.Snapshot().Endpoints["h1/e2"].Host; got != "h1" {
		t.Errorf("the snapshot has the endpoint on host %q, want h1", got)
	}
}

func TestPutRefusesRecordsThatAreNotTheHostsOwn(t *testing.T) {
	c := catalog.New("h1", 5)
	tests := map[string]struct {
		rec  record.Record
		want string
	}{
		"app":             {app("shop", record.Version{}), "not a host's own record"},
		"tombstone":       {tombstone(endpoint("e1", "")), "not a host's own record"},
		"without content": {record.Record{Key: record.Key{Kind: record.KindEndpoint, Name: "e1"}}, "content does not fit"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := c.Snapshot()
			if _, err := c.Put(tt.rec); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Put returned %v, want an error that says %q", err, tt.want)
			}
			if c.Snapshot() != before || len(c.DrainOutbox()) != 0 {
				t.Error("a refused record changed the catalog")
			}
		})
	}
}

func TestAppRecordsAreOrderedByVersion(t *testing.T) {
	c := catalog.New("h1", 5)
	v := func(e, s uint64) record.Version { return record.Version{Epoch: e, Seq: s} }
	other := app("shop", v(2, 1))
	other.App.Revision = 99
	tests := []struct {
		name string
		rec  record.Record
		err  error
		out  []string
	}{
		{"first", app("shop", v(2, 1)), nil, []string{"shop 2.1 1"}},
		{"same", app("shop", v(2, 1)), nil, nil},
		{"another of the same version", other, record.ErrStale, nil},
		{"older", app("shop", v(1, 9)), record.ErrStale, nil},
		{"newer", app("shop", v(2, 2)), nil, []string{"shop 2.2 2"}},
		{"down", tombstone(app("shop", v(2, 3))), nil, []string{"shop 2.3 deleted"}},
		{"older than its tombstone", app("shop", v(2, 2)), record.ErrStale, nil},
		{"up again", app("shop", v(3, 0)), nil, []string{"shop 3.0 0"}},
	}
	for _, tt := range tests {
		if err := putApp(c, tt.rec); !errors.Is(err, tt.err) {
			t.Errorf("PutApp, %s: error %v, want %v", tt.name, err, tt.err)
		}
		wantLines(t, drain(t, c), tt.out...)
	}
	if err := putApp(c, from("fw", record.Version{Epoch: 1}, endpoint("e", "x"))); err == nil {
		t.Error("PutApp accepted an endpoint")
	}
	c.Suspend("fw")
	if s := c.Snapshot(); s.Apps["shop"] == nil || s.Owners["shop"] != "fw" {
		t.Errorf("after the suspension of a host named as the owner of app shop, its owners are %v; want the app still there, owned by fw", s.Owners)
	}
}

func TestSuspendKeepsRecords(t *testing.T) {
	c := catalog.New("h1", 5)
	merge(c, from("h2", record.Version{Epoch: 1, Seq: 1}, endpoint("e2", "x")))
	before := c.Snapshot()
	c.Suspend("h2")
	c.Suspend("h1")
	after := c.Snapshot()
	if d := cmp.Diff(map[string]bool{"h2": true}, after.Suspended); d != "" {
		t.Errorf("suspended hosts (-want +got):\n%s", d)
	}
	if len(before.Suspended) != 0 || after.Endpoints["h2/e2"] == nil || after.Index <= before.Index {
		t.Errorf("snapshot before Suspend %+v, after it %+v; want the first unchanged, and the endpoint kept in the second", before, after)
	}
	c.Resume("h2")
	c.Resume("h2")
	if s := c.Snapshot(); len(s.Suspended) != 0 || s.Index != after.Index+1 {
		t.Errorf("after two calls of Resume the snapshot is %+v; want no suspended host, and the index grown by one", s)
	}
}

func TestWatchTellsOfChangesOnly(t *testing.T) {
	c := catalog.New("h1", 5)
	changes, cancel := c.Watch()
	has := func(want bool) {
		t.Helper()
		select {
		case <-changes:
			if !want {
				t.Error("the watcher was told of a change, but there was none")
			}
		default:
			if want {
				t.Error("the watcher was not told of a change")
			}
		}
	}
	has(true)
	has(false)
	put(t, c, endpoint("e1", "a"))
	put(t, c, endpoint("e1", "b"))
	has(true)
	has(false)
	put(t, c, endpoint("e1", "b"))
	has(false)
	c.Suspend("h2")
	has(true)
	cancel()
	put(t, c, endpoint("e1", "c"))
	has(false)
}

func TestTombstonesOfHostsExpireAndThoseOfAppsStay(t *testing.T) {
	c := catalog.New("h1", 5)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	gone := tombstone(from("h2", record.Version{Epoch: 1, Seq: 2}, endpoint("e2", "")))
	merge(c, gone)
	if err := putApp(c, tombstone(app("shop", record.Version{Epoch: 1}))); err != nil {
		t.Fatal(err)
	}
	c.DrainOutbox()
	known := func(k record.Key) bool { _, ok := c.Get(k, "h2"); return ok }
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {59 * time.Minute, true}, {time.Hour, false}} {
		c.DropOldTombstones(now.Add(step.after), time.Hour)
		if got := known(gone.Key); got != step.want {
			t.Errorf("after %v the tombstone is known: %v, want %v", step.after, got, step.want)
		}
	}
	c.DropOldTombstones(now.Add(1000*time.Hour), time.Hour)
	if !known(record.Key{Kind: record.KindApp, Name: "shop"}) {
		t.Error("the tombstone of the app is gone: an old record would bring the app back")
	}
}

// The race detector watches concurrent calls of all methods. No record is lost.
func TestConcurrentUse(t *testing.T) {
	c, peer := catalog.New("h1", 5), catalog.New("h2", 5)
	changes, cancel := c.Watch()
	defer cancel()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 50 {
				id := fmt.Sprintf("e%d-%d", i, n)
				if _, err := c.Put(endpoint(id, "x")); err != nil {
					t.Error(err)
				}
				merge(c, from("h3", record.Version{Epoch: 1, Seq: uint64(n + 1)}, endpoint("of-h3", fmt.Sprint(n))))
			}
		})
	}
	wg.Go(func() {
		for len(peer.Snapshot().Endpoints) < 200 {
			<-changes
			for _, packet := range c.DrainOutbox() {
				if _, err := peer.Merge(packet.Wire); err != nil {
					t.Error(err)
				}
			}
			c.Suspend("h3")
			c.Snapshot()
			c.DropOldTombstones(time.Now(), 0)
			if _, err := c.Missing(peer.Digest()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if n := len(c.Snapshot().Endpoints); n != 201 {
		t.Errorf("the catalog has %d endpoints, want 201", n)
	}
}

func TestMergeReturnsTheKeyOfNews(t *testing.T) {
	w := catalog.New("h1", 5)
	packet, err := record.Encode(from("h2", record.Version{Epoch: 1, Seq: 1}, endpoint("e2", "x")))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"endpoint/h2/e2", ""} {
		if news, err := w.Merge(packet); news != want || err != nil {
			t.Errorf("Merge returned news %q, error %v; want news %q", news, err, want)
		}
	}
	if _, err := w.Merge([]byte("garbage")); err == nil {
		t.Error("Merge accepted garbage")
	}
}

// A host uses the ID of another host's endpoint, with a version that no restart of that host
// reaches. Every catalog keeps both records, in either order, and the victim's stays as it is,
// whether the attacker puts or deletes.
func TestNoHostReplacesAnEndpointOfAnotherHost(t *testing.T) {
	victim := from("h2", record.Version{Epoch: 5, Seq: 1}, endpoint("e1", "victim"))
	forged := from("evil", record.Version{Epoch: record.MaxEpoch, Seq: 9}, endpoint("e1", "forged"))
	tests := map[string][]record.Record{
		"after the victim":                   {victim, forged},
		"before the victim":                  {forged, victim},
		"with a tombstone":                   {victim, tombstone(forged)},
		"with a tombstone, before":           {tombstone(forged), victim},
		"with a tombstone after the forgery": {forged, victim, tombstone(from("evil", record.Version{Epoch: record.MaxEpoch, Seq: 10}, endpoint("e1", "")))},
	}
	for name, records := range tests {
		t.Run(name, func(t *testing.T) {
			third, own := catalog.New("h3", 5), catalog.New("h2", 5)
			put(t, own, from("h2", record.Version{}, endpoint("e1", "victim")))
			for _, r := range records {
				merge(third, r)
				merge(own, r)
			}
			for host, c := range map[string]*catalog.Catalog{"a third host": third, "the victim": own} {
				if e := c.Snapshot().Endpoints[record.EndpointKey("h2", "e1")]; e == nil || e.Container != "victim" {
					t.Errorf("%s has the victim's endpoint as %+v, want it unchanged", host, e)
				}
			}
			if n := differences(t, third, own); n > 0 {
				t.Errorf("two catalogs with the same records exchange %d packets, want none", n)
			}
			if !own.Delete(record.Key{Kind: record.KindEndpoint, Name: "e1"}) {
				t.Error("the victim cannot delete its own endpoint")
			}
		})
	}
}

// differences returns how many packets each of two catalogs has that the other lacks.
func differences(t *testing.T, a, b *catalog.Catalog) (n int) {
	t.Helper()
	for _, pair := range [][2]*catalog.Catalog{{a, b}, {b, a}} {
		packets, err := pair[0].Missing(pair[1].Digest())
		if err != nil {
			t.Fatal(err)
		}
		n += len(packets)
	}
	return n
}
