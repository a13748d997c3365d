package linker

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"tombolo/linker/api"
	"tombolo/linker/record"
)

func TestFindEndpoint(t *testing.T) {
	s := &record.Snapshot{Endpoints: endpointsByKey(
		&record.Endpoint{ID: "a", Host: "h1", Container: "abcdef1", ContainerName: "web", Addr4: netip.MustParseAddr("100.64.1.2")},
		&record.Endpoint{ID: "b", Host: "h2", Container: "abcdef2", ContainerName: "web", Addr4: netip.MustParseAddr("100.64.2.2")},
		&record.Endpoint{ID: "c", Host: "h2", Container: "abcd", ContainerName: "db", Addr6: netip.MustParseAddr("fd00::2")},
	)}
	for container, want := range map[string]string{ // an endpoint's ID, or a part of the error
		"h1/web": "a", "h2/web": "b", "db": "c", "100.64.2.2": "b", "fd00::2": "c", "abcdef2": "b", "abcd": "c", "abcdef1": "a",
		"web": "h1/web, h2/web", "abcdef": "h1/web, h2/web", "nobody": "no container", "abc": "no container",
	} {
		ep, err := findEndpoint(s, container)
		switch {
		case err == nil && ep.ID != want:
			t.Errorf("findEndpoint(%q) found %s, want %s", container, ep.ID, want)
		case err != nil && (!strings.Contains(err.Error(), want) || !errors.Is(err, api.ErrInvalid) && !errors.Is(err, api.ErrNotFound)):
			t.Errorf("findEndpoint(%q) returned the error %v, want %s", container, err, want)
		}
	}
}
