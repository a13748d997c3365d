package linker

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/api"
	"tombolo/linker/record"
)

// Of two holders of one block the first one's containers are meant by its addresses,
// everywhere but on the second one's own host.
func TestEndpointsThatNobodyReaches(t *testing.T) {
	s := snapshotOf(
		hostWith("h1", "100.64.1.0/24", day), hostWith("h2", "100.64.1.0/24", day.Add(time.Hour)),
		hostWith("h3", "100.64.3.0/24", day), hostWith("h4", "10.0.4.0/24", day))
	s.Endpoints = map[string]*record.Endpoint{}
	for id, host := range map[string]string{"a": "h1", "b": "h2", "c": "h3", "d": "h4", "e": "unheard"} {
		s.Endpoints[id] = &record.Endpoint{ID: id, Host: host}
	}
	for self, want := range map[string][]string{"h1": {"a", "c", "e"}, "h2": {"b", "c", "e"}, "h3": {"a", "c", "e"}} {
		own := s.Hosts[self]
		p, err := peers(s, own, DefaultPool4, netip.Prefix{})
		if err == nil {
			t.Errorf("%s: h4 is of the pool", self)
		}
		got := slices.Sorted(maps.Keys(reachable(s, own, p).Endpoints))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", self, diff)
		}
	}
}

func TestFindEndpoint(t *testing.T) {
	s := &record.Snapshot{Endpoints: map[string]*record.Endpoint{
		"a": {ID: "a", Host: "h1", Container: "abcdef1", ContainerName: "web", Addr4: netip.MustParseAddr("100.64.1.2")},
		"b": {ID: "b", Host: "h2", Container: "abcdef2", ContainerName: "web", Addr4: netip.MustParseAddr("100.64.2.2")},
		"c": {ID: "c", Host: "h2", Container: "abcd", ContainerName: "db", Addr6: netip.MustParseAddr("fd00::2")},
	}}
	for who, want := range map[string]string{
		"h1/web": "a", "h2/web": "b", "db": "c", "100.64.2.2": "b", "fd00::2": "c", "abcdef2": "b", "abcd": "c", "abcdef1": "a",
		"web": "h1/web, h2/web", "abcdef": "h1/web, h2/web", "nobody": "no container", "abc": "no container",
	} {
		ep, err := findEndpoint(s, who)
		switch {
		case err == nil && ep.ID != want:
			t.Errorf("%s is %s, want %s", who, ep.ID, want)
		case err != nil && (!strings.Contains(err.Error(), want) || !errors.Is(err, api.ErrInvalid) && !errors.Is(err, api.ErrNotFound)):
			t.Errorf("%s: %v, want %s", who, err, want)
		}
	}
}
