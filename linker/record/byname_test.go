package record_test

import (
	"testing"

	"tombolo/linker/record"
)

func TestHostsAreKnownByTheirNames(t *testing.T) {
	s := &record.Snapshot{
		Hosts: map[string]*record.Host{
			"aaa": {ID: "aaa", Name: "h1"}, "bbb": {ID: "bbb", Name: "h1"}, "h2": {Name: "h2"},
		},
		Endpoints: map[string]*record.Endpoint{"bbb/e": {ID: "e", Host: "bbb"}, "aaa/e": {ID: "e", Host: "aaa"}, "gone/x": {ID: "x", Host: "gone"}},
		Suspended: map[string]bool{"aaa": true},
	}
	if h := s.HostNamed("h1"); h == nil || h.ID != "bbb" {
		t.Errorf("h1 is %+v, want the one of the two that answers", h)
	}
	n := s.ByName()
	if n.Hosts["h1"] == nil || n.Hosts["aaa"] == nil || n.Hosts["h2"] == nil || len(n.Hosts) != 3 || !n.Suspended["aaa"] || n.Suspended["h1"] {
		t.Errorf("by name, the hosts are %v and suspended ones %v; want h1, aaa (suspended) and h2", n.Hosts, n.Suspended)
	}
	if n.Endpoints["h1/e"] == nil || n.Endpoints["aaa/e"] == nil || n.Endpoints["gone/x"] == nil || s.Endpoints["bbb/e"].Host != "bbb" {
		t.Errorf("by name, the endpoints are %v; want h1/e, aaa/e and gone/x, and the original unchanged", n.Endpoints)
	}
}
