package linker

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/record"
)

// If two hosts hold one block, its addresses mean the containers of the prior claim,
// except on the host with the other claim itself.
func TestEndpointsOfALostBlockAreLeftOut(t *testing.T) {
	s := snapshotOf(
		hostWith("h1", "100.64.1.0/24", day), hostWith("h2", "100.64.1.0/24", day.Add(time.Hour)),
		hostWith("h3", "100.64.3.0/24", day), hostWith("h4", "10.0.4.0/24", day))
	s.Endpoints = map[string]*record.Endpoint{}
	for id, host := range map[string]string{"a": "h1", "b": "h2", "c": "h3", "d": "h4", "e": "unknown"} { // no block is known of e's host
		s.Endpoints[id] = &record.Endpoint{ID: id, Host: host}
	}
	for self, want := range map[string][]string{"h1": {"a", "c"}, "h2": {"b", "c"}, "h3": {"a", "c"}} {
		t.Run("as seen by "+self, func(t *testing.T) {
			own := s.Hosts[self]
			p, err := peers(s, own, DefaultPool4, netip.Prefix{})
			if err == nil {
				t.Error("h4 has a block outside of the pool, but peers returned no error")
			}
			kept, misplaced := reachable(s, own, p)
			if misplaced != nil {
				t.Errorf("endpoints are misplaced: %v; want none", misplaced)
			}
			got := slices.Sorted(maps.Keys(kept.Endpoints))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("reachable endpoints (-want +got):\n%s", diff)
			}
		})
	}
}
