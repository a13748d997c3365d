package linker

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/overlay"
)

func TestRevocationsLastAMinute(t *testing.T) {
	addr := netip.MustParseAddr
	catalog := func(strict bool, endpoints ...*record.Endpoint) *effectiveCatalog {
		s := &record.Snapshot{Endpoints: map[string]*record.Endpoint{}, Apps: map[string]*record.App{}}
		s.Apps["shop"] = &record.App{Name: "shop", Strict: strict}
		for _, ep := range endpoints {
			s.Endpoints[ep.Key()] = ep
		}
		return &effectiveCatalog{source: s, Snapshot: s, Relation: reach.Of(s), self: hostWith("h1", "100.64.1.0/24", day)}
	}
	endpoint := func(id, host, addr4 string) *record.Endpoint {
		return &record.Endpoint{
			ID: id, Host: host, App: "shop", Service: id, Addr4: addr(addr4), Addr6: addr("fd00::" + addr4[len(addr4)-1:]),
			Networks: map[string][]string{"shop_default": nil},
		}
	}
	web, db := endpoint("web", "h1", "100.64.1.2"), endpoint("db", "h2", "100.64.2.3")
	both := func(id string, a, b *record.Endpoint) []overlay.Revocation {
		return []overlay.Revocation{{ID: id, From: a.Addr4, To: b.Addr4}, {ID: id, From: a.Addr6, To: b.Addr6}}
	}
	lost := append(both("h1/web h2/db", web, db), both("h2/db h1/web", db, web)...)
	ended := []overlay.Revocation{{ID: "h2/db", From: db.Addr4}, {ID: "h2/db", From: db.Addr6}}

	var r revocations
	open, closed, alone := catalog(false, web, db), catalog(true, web, db), catalog(true, web)
	for _, step := range []struct {
		what string
		e    *effectiveCatalog
		at   time.Duration
		want []overlay.Revocation
		next time.Duration // until the first one is over; 0: there are none
	}{
		{"the first catalog of a run revokes nothing", closed, 0, nil, 0},
		{"a permission is added", open, 0, nil, 0},
		{"it is taken back", closed, 0, lost, time.Minute},
		{"nothing changes", closed, 20 * time.Second, lost, 40 * time.Second},
		{"a minute has passed", closed, time.Minute, nil, 0},
		{"it is added again", open, time.Minute, nil, 0},
		{"and taken back", closed, time.Minute, lost, time.Minute},
		{"and added at once", open, time.Minute, nil, 0},
		{"and taken back once more", closed, time.Minute, lost, time.Minute},
		{"a container ends: the next one may have its address", alone, time.Minute, nil, 0},
		{"another one", open, time.Minute, nil, 0},
		{"a container that may be reached ends", catalog(false, web), time.Minute, ended, time.Minute},
	} {
		now := day.Add(step.at)
		if diff := cmp.Diff(step.want, r.update(step.e, now), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s: revocations (-want +got):\n%s", step.what, diff)
		}
		if next, ok := r.next(now); next != step.next || ok != (step.next > 0) {
			t.Errorf("%s: the next one is over in %v (%v), want %v", step.what, next, ok, step.next)
		}
	}
}

// An app record of the framework takes permissions back, and the kernel is told. A linker
// that restarts takes nothing back.
func TestRevokedPermissionsReachTheKernel(t *testing.T) {
	h := newTestHost(t, 24)
	h.start(t)
	h.awaitBlock(t)
	h.run(t, "web", labels("web"))
	h.run(t, "db", labels("db"))
	last := func() overlay.Config {
		c := <-h.plane.set
		h.plane.set <- c
		return c
	}
	eventually(t, "both may reach each other", func() bool { return len(last().Groups) == 1 && len(last().Groups[0].To) == 2 })
	packet, err := record.Encode(record.Record{
		Key: record.Key{Kind: record.KindApp, Name: "shop"}, Owner: "f", Version: record.Version{Epoch: 1, Seq: 1},
		App: &record.App{Name: "shop", Strict: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.catalog.PutApp(packet); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the kernel is told of both revocations", func() bool { c := last(); return len(c.Groups) == 0 && len(c.Revoked) == 2 })
	h.stop()
	h.start(t)
	eventually(t, "the restarted linker has both endpoints", func() bool { return len(last().Endpoints) == 2 })
	if c := last(); len(c.Revoked) > 0 {
		t.Errorf("the restarted linker takes back %v, want nothing", c.Revoked)
	}
	h.stop()
}
