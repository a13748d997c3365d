package reach_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/reach"
	"tombolo/linker/record"
)

// In every case a and b are on h1, and c is on h2.
func TestRevokedIsWhatRecordsTookBack(t *testing.T) {
	three := func(changes ...change) cluster {
		return newCluster().add("a", "shop/web/1", changes...).add("b", "shop/db/1", changes...).add("c", "shop/cache/1", append(changes, host("h2"))...)
	}
	apart := func() cluster {
		return newCluster().add("a", "shop/web/1", on("x"), links("db", "cache")).add("b", "shop/db/1", on("y"), ports(80, 81)).add("c", "shop/cache/1", on("z"), host("h2"))
	}
	service := func(change func(*record.Service)) map[string]record.Service {
		web := record.Service{Links: []record.Link{link("db"), link("cache")}}
		if change != nil {
			change(&web)
		}
		return map[string]record.Service{"web": web, "db": {Ports: tcp(80, 81)}, "cache": {}}
	}
	without := func(w cluster, id string) cluster { delete(w.s.Endpoints, id); return w }
	linked := func() cluster { return apart().app("shop", true, service(nil)) }
	tests := map[string]struct {
		before, after cluster
		known         *record.Snapshot // nil: after has everything
		want          []string
	}{
		"nothing changes":                {linked(), linked(), nil, nil},
		"health changes":                 {three(), three(unhealthy, stopped), nil, nil},
		"permissions are added":          {apart().app("shop", true, service(func(s *record.Service) { s.Links = nil })), linked(), nil, nil},
		"an app record forbids networks": {three(), three().app("shop", true, service(nil)), nil, []string{"a -> b", "b -> a", "b -> c", "c -> a", "c -> b"}}, // a -> b has fewer ports
		"a link is removed": {linked(), apart().app("shop", true, service(func(s *record.Service) { s.Links = s.Links[:1] })), nil,
			[]string{"a -> c"}},
		"a port is removed": {linked(), apart().app("shop", true, map[string]record.Service{
			"web": {Links: []record.Link{link("db"), link("cache")}}, "db": {Ports: tcp(80)}, "cache": {}}), nil, []string{"a -> b"}},
		"a port is added": {apart().app("shop", true, map[string]record.Service{
			"web": {Links: []record.Link{link("db"), link("cache")}}, "db": {Ports: tcp(80)}, "cache": {}}), linked(), nil, nil},
		"the app ends, whose record added a link": {newCluster().add("a", "shop/web/1", on("x")).add("b", "shop/db/1", on("y")).app("shop", false, service(nil)),
			newCluster().add("a", "shop/web/1", on("x")).add("b", "shop/db/1", on("y")), nil, []string{"a -> b"}},
		"labels are read that were not before": {three(), three(on("other")).add("d", "shop"), nil, nil}, // all moved together
		"one moves to another network":         {three(), newCluster().add("a", "shop/web/1", on("x")).add("b", "shop/db/1").add("c", "shop/cache/1", host("h2")), nil, []string{"a -> b", "a -> c", "b -> a", "c -> a"}},
		"a container of another host ends":     {three(), without(three(), "c"), nil, []string{"c ended"}},
		"a stranger of another host ends":      {three().add("d", "blog", host("h2")), three(), nil, nil},
		"a container of this host ends":        {three(), without(three(), "b"), nil, nil}, // Detach deletes its connections
		"a host is left out for a moment":      {three(), without(three(), "c"), three().s, nil},
		"a host is suspended":                  {three(), three().suspend("h2"), nil, nil},
		"a restarted linker knows nothing":     {newCluster(), three(), nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			known := tt.known
			if known == nil {
				known = tt.after.s
			}
			var got []string
			for _, r := range reach.Revoked(reach.Of(tt.before.s), reach.Of(tt.after.s), known, "h1") {
				if r.To == nil {
					got = append(got, r.From.ID+" ended")
				} else {
					got = append(got, r.From.ID+" -> "+r.To.ID)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("revoked permissions (-want +got):\n%s", diff)
			}
		})
	}
}

// Revoked has every permission of before that after lacks, however the records changed, and
// no other.
func TestRevokedIsTheDifferenceOfGrants(t *testing.T) {
	networks := [][]string{{"x"}, {"y"}, {"x", "y"}, {}}
	shaped := func(n int) cluster {
		w := newCluster()
		for i, id := range []string{"a", "b", "c", "d"} {
			w.add(id, "shop/"+id+"/1", on(networks[n>>(2*i)&3]...), host([]string{"h1", "h1", "h2", "h2"}[i]))
		}
		return w
	}
	pairs := func(r *reach.Relation) map[string]bool {
		out := map[string]bool{}
		for _, from := range []string{"a", "b", "c", "d"} {
			for _, to := range []string{"a", "b", "c", "d"} {
				local := from < "c" || to < "c"
				if from != to && local && r.Allowed(from, to, record.Port{}) {
					out[from+to] = true
				}
			}
		}
		return out
	}
	for n := range 256 {
		before, after := reach.Of(shaped(n).s), shaped((n*37+11)%256)
		now := reach.Of(after.s)
		want := pairs(before)
		for p := range pairs(now) {
			delete(want, p)
		}
		got := map[string]bool{}
		for _, r := range reach.Revoked(before, now, after.s, "h1") {
			got[r.From.ID+r.To.ID] = true
		}
		if !maps.Equal(want, got) {
			t.Fatalf("change %d: revoked %v, want %v", n, got, want)
		}
	}
}
