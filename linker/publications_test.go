package linker

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tombolo/linker/attach"
	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// publishers are the endpoints of a host; all publish port 8080.
type publishers struct {
	eps []attach.Endpoint
	s   record.Snapshot
}

// add adds an endpoint that is younger than those before; nil: it is not identified yet.
func (p *publishers) add(known *record.Endpoint) {
	n := byte(len(p.eps) + 2)
	ep := attach.Endpoint{
		ID: fmt.Sprintf("%02d", 90-n), Addr4: netip.AddrFrom4([4]byte{100, 64, 1, n}), Joined: true, // the IDs do not sort by age
		Published: []record.PublishedPort{{HostPort: 8080, Port: 80, Proto: "tcp"}},
		Created:   time.Unix(int64(n), 0),
	}
	p.eps = append(p.eps, ep)
	if known != nil {
		known.ID, known.Host = ep.ID, "h1"
		p.s.Endpoints[known.Key()] = known
	}
}

func (p *publishers) effective() *effectiveCatalog {
	return &effectiveCatalog{Snapshot: &p.s, Relation: reach.Of(&p.s), self: hostWith("h1", "100.64.1.0/24", day)}
}

// replicaOf returns a healthy endpoint of the app shop; states change that.
func replicaOf(service string, slot int, states ...string) *record.Endpoint {
	e := &record.Endpoint{App: "shop", Service: service, Slot: slot, Generation: 1, Running: true, Health: record.HealthHealthy}
	for _, state := range states {
		switch state {
		case "starting":
			e.Health = record.HealthStarting
		case "stopped":
			e.Running = false
		}
	}
	return e
}

func TestPublications(t *testing.T) {
	web := func(slot int, states ...string) *record.Endpoint { return replicaOf("web", slot, states...) }
	foreign := func() *record.Endpoint { return &record.Endpoint{Running: true, Health: record.HealthNone} }
	for _, tt := range []struct {
		name     string
		eps      []*record.Endpoint // the oldest first
		drained  []int
		want     []int // indexes of eps
		conflict string
	}{
		{"one endpoint", []*record.Endpoint{web(1)}, nil, []int{0}, ""},
		{"one endpoint that is not identified", []*record.Endpoint{nil}, nil, []int{0}, ""},
		{"one endpoint that is not started", []*record.Endpoint{web(1, "stopped")}, nil, []int{0}, ""},
		{"replicas", []*record.Endpoint{web(1), web(2), web(3)}, nil, []int{0, 1, 2}, ""},
		{"a replica that is not healthy", []*record.Endpoint{web(1), web(2, "starting"), web(3)}, nil, []int{0, 2}, ""},
		{"no replica is healthy", []*record.Endpoint{web(1, "starting"), web(2, "starting"), web(3, "stopped")}, nil, []int{0, 1}, ""},
		{"no replica runs", []*record.Endpoint{web(1, "stopped"), web(2, "stopped")}, nil, []int{0, 1}, ""},
		{"a replica that drains", []*record.Endpoint{web(1), web(2)}, []int{1}, []int{1}, ""},
		{"all replicas drain", []*record.Endpoint{web(1), web(2)}, []int{1, 2}, []int{0, 1}, ""},
		{"the younger is not identified", []*record.Endpoint{web(1), nil}, nil, []int{0}, ""},
		{"the older is not identified", []*record.Endpoint{nil, web(1), web(2)}, nil, []int{1, 2}, ""},
		{"neither is identified", []*record.Endpoint{nil, nil}, nil, []int{0}, ""},
		{"another service", []*record.Endpoint{web(1), replicaOf("db", 1)}, nil, []int{0},
			"port 8080/tcp of this host is taken by service web of app shop (container ): it does not lead to service db of app shop (container )"},
		{"another service that is older and not healthy", []*record.Endpoint{replicaOf("db", 1, "starting"), web(1), web(2)}, nil, []int{0}, "taken by service db"},
		{"two foreign containers", []*record.Endpoint{foreign(), foreign()}, nil, []int{0}, "taken by container"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := publishers{s: record.Snapshot{Endpoints: map[string]*record.Endpoint{}}}
			for _, ep := range tt.eps {
				p.add(ep)
			}
			if tt.drained != nil {
				p.s.Apps = map[string]*record.App{"shop": {Name: "shop", Services: map[string]record.Service{"web": {Drained: tt.drained}}}}
			}
			var want []netip.Addr
			for _, i := range tt.want {
				want = append(want, p.eps[i].Addr4)
			}
			var got []netip.Addr
			out, err := publications(p.eps, p.effective())
			for _, o := range out {
				got = append(got, o.To)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("the port leads to (-want +got):\n%s", diff)
			}
			if (err != nil) != (tt.conflict != "") || err != nil && !strings.Contains(err.Error(), tt.conflict) {
				t.Errorf("publications returned the error %v, want %q in it", err, tt.conflict)
			}
		})
	}
}

func TestPublishesBothFamilies(t *testing.T) {
	p := publishers{s: record.Snapshot{Endpoints: map[string]*record.Endpoint{}}}
	p.add(nil)
	p.eps[0].Addr6 = netip.MustParseAddr("fd00::2")
	p.eps[0].Published = append(p.eps[0].Published, record.PublishedPort{HostIP: netip.MustParseAddr("::1"), HostPort: 1, Port: 80, Proto: "tcp"})
	out, err := publications(p.eps, p.effective())
	var got []string
	for _, o := range out {
		got = append(got, o.To.String())
	}
	if diff := cmp.Diff([]string{"100.64.1.2", "fd00::2", "fd00::2"}, got); diff != "" || err != nil {
		t.Errorf("the ports lead to (-want +got, error %v):\n%s", err, diff)
	}
}

// A host with the name h1 serves the ingress port 8080 of the service web.
func TestIngress(t *testing.T) {
	addr := netip.MustParseAddr
	port := record.PublishedPort{HostPort: 8080, Port: 80, Proto: "tcp"}
	instance := func(host, a string, states ...string) *record.Endpoint {
		e := replicaOf("web", 1, states...)
		e.Slot, e.Generation, e.Host, e.Addr4 = 0, 0, host, addr(a)
		return e
	}
	to := func(addrs ...string) (out []overlay.Publish) {
		for _, a := range addrs {
			out = append(out, overlay.Publish{HostPort: 8080, Proto: "tcp", To: addr(a), Port: 80})
		}
		return out
	}
	foreign := &record.Endpoint{ContainerName: "other", Host: "h1", Addr4: addr("100.64.1.9"), Running: true, Health: record.HealthNone}
	held := &record.Endpoint{App: "shop", Service: "web", Host: "h1", Addr4: addr("100.64.1.9"), Running: true, Health: record.HealthNone}
	for _, tt := range []struct {
		name      string
		instances []*record.Endpoint
		holder    *record.Endpoint // a container of this host that publishes the same port itself
		want      []overlay.Publish
		conflict  string
	}{
		{"a local instance first", []*record.Endpoint{instance("h1", "100.64.1.2"), instance("h2", "100.64.2.2")}, nil, to("100.64.1.2"), ""},
		{"all instances of other hosts", []*record.Endpoint{instance("h2", "100.64.2.2"), instance("h3", "100.64.3.2")}, nil, to("100.64.2.2", "100.64.3.2"), ""},
		{"the local instance is not healthy", []*record.Endpoint{instance("h1", "100.64.1.2", "starting"), instance("h2", "100.64.2.2")}, nil, to("100.64.2.2"), ""},
		{"no instance", nil, nil, []overlay.Publish{{HostPort: 8080, Proto: "tcp"}}, ""},
		{"a container has the port", []*record.Endpoint{instance("h2", "100.64.2.2")}, foreign, to("100.64.1.9"),
			"port 8080/tcp of this host is taken by container other: it does not lead to service web of app shop (mode: ingress)"},
		{"an instance still has the port as its own", []*record.Endpoint{instance("h2", "100.64.2.2")}, held, to("100.64.1.9"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &record.Snapshot{
				Endpoints: map[string]*record.Endpoint{},
				Apps: map[string]*record.App{
					"shop":  {Name: "shop", Services: map[string]record.Service{"web": {Replicas: 2, Ingress: []record.PublishedPort{port}}}},
					"later": {Name: "later", Services: map[string]record.Service{"web": {Replicas: 1}}},
				},
			}
			for n, e := range tt.instances {
				e.ID = fmt.Sprintf("e%d", n)
				s.Endpoints[e.Key()] = e
			}
			var local []attach.Endpoint
			if tt.holder != nil {
				tt.holder.ID, tt.holder.Host = "holder", "h1"
				s.Endpoints[tt.holder.Key()] = tt.holder
				local = append(local, attach.Endpoint{ID: "holder", Addr4: tt.holder.Addr4, Joined: true, Published: []record.PublishedPort{port}})
			}
			e := &effectiveCatalog{Snapshot: s, Relation: reach.Of(s), self: hostWith("h1", "100.64.1.0/24", day)}
			ports, conflict := ingressPorts(e, local)
			cfg, err := compile(overlay.Config{}, e, local, ports)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, cfg.Publish, cmpopts.EquateComparable(netip.Addr{})); d != "" {
				t.Errorf("published ports (-want +got):\n%s", d)
			}
			if got := fmt.Sprint(conflict); tt.conflict == "" && conflict != nil || !strings.Contains(got, tt.conflict) {
				t.Errorf("the conflict is %q, want %q", got, tt.conflict)
			}
		})
	}
}

// If two apps want one ingress port, every host serves it for the same app.
func TestTwoAppsWithOneIngressPort(t *testing.T) {
	service := map[string]record.Service{"web": {Ingress: []record.PublishedPort{{HostPort: 8080, Port: 80, Proto: "tcp"}}}}
	s := &record.Snapshot{Apps: map[string]*record.App{"shop": {Services: service}, "blog": {Services: service}}}
	ports, err := ingressPorts(&effectiveCatalog{Snapshot: s, self: hostWith("h1", "100.64.1.0/24", day)}, nil)
	want := "port 8080/tcp of this host is taken by service web of app blog (mode: ingress): it does not lead to service web of app shop (mode: ingress)"
	if len(ports) != 1 || ports[0].app != "blog" || err == nil || err.Error() != want {
		t.Errorf("ingressPorts returned %v and %v, want the port of blog and %q", ports, err, want)
	}
}
