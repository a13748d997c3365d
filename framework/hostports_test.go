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

func TestPortsOfHostsWithoutALinkerOfOursComeFromAnother(t *testing.T) {
	endpoint := func(host, id string) *record.Endpoint {
		return &record.Endpoint{Host: host, Container: id, Running: true, Published: []record.PublishedPort{{HostPort: 80, Port: 80, Proto: "tcp"}}}
	}
	snapshot := &record.Snapshot{
		Hosts:     map[string]*record.Host{"id1": {ID: "id1", Name: "h1"}, "id2": {ID: "id2", Name: "h2"}, "id3": {ID: "id3", Name: "h3"}},
		Endpoints: map[string]*record.Endpoint{"a": endpoint("id1", "a"), "b": endpoint("id2", "b"), "c": endpoint("id3", "c")},
	}
	l := linkers{
		"h1": {name: "h1", up: true, snapshot: snapshot}, "h2": {name: "h2", up: true, snapshot: &record.Snapshot{Hosts: snapshot.Hosts}},
	}
	held := map[string]string{}
	for _, p := range l.foreignPorts(nil) {
		held[p.Host] = p.Holder
	}
	// h2's own linker says that b is gone.
	if diff := cmp.Diff(map[string]string{"h1": "container a", "h3": "container c"}, held); diff != "" {
		t.Errorf("holders of port 80 by host (-want +got):\n%s", diff)
	}
}
