package framework

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/app"
	"tombolo/framework/place"
	"tombolo/framework/store"
	"tombolo/linker/record"
)

// Host ports that a linker has chosen are taken, like those that the file names.
func TestTakenPortsIncludeThoseThatTheLinkerChose(t *testing.T) {
	web := &task{
		Task: store.Task{App: "shop", Service: "web", Slot: 2, Host: "h1", Ports: []app.Port{
			{Host: 8080, Target: 80, Proto: "tcp", HostIP: "127.0.0.1"}, {Target: 81, Proto: "udp"},
		}},
		endpoint: &record.Endpoint{Published: []record.PublishedPort{
			{HostPort: 8080, Port: 80, Proto: "tcp", HostIP: netip.MustParseAddr("127.0.0.1")}, {HostPort: 49152, Port: 81, Proto: "udp"},
		}},
	}
	held := map[app.Port]bool{}
	for _, p := range web.taken() {
		held[p.Port] = true
		p.Port = app.Port{}
		if diff := cmp.Diff(place.Taken{Host: "h1", Holder: "shop/web.2", App: "shop", Service: "web"}, p); diff != "" {
			t.Errorf("holder of the port (-want +got):\n%s", diff)
		}
	}
	for _, want := range []app.Port{{Host: 8080, Target: 80, Proto: "tcp", HostIP: "127.0.0.1"}, {Host: 49152, Target: 81, Proto: "udp"}} {
		if !held[want] {
			t.Errorf("port %+v is not taken; taken are %v", want, held)
		}
	}
}
