package place

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/app"
)

func hosts(names ...string) (list []Host) {
	for _, name := range names {
		list = append(list, Host{Name: name, Offered: true, CPUs: 2, MemBytes: 1 << 30})
	}
	return list
}

func requests(n int) (list []Request) {
	for slot := 1; slot <= n; slot++ {
		list = append(list, Request{App: "shop", Service: "web", Slot: slot, CPUs: 0.1, MemBytes: 64 << 20})
	}
	return list
}

// where returns the hosts of the assignments.
func where(r Result) (list []string) {
	for _, a := range r.Assigned {
		list = append(list, a.Host)
	}
	return list
}

func TestInstancesSpreadOverTheHosts(t *testing.T) {
	big := hosts("a", "b", "c")
	big[1].CPUs = 4
	tests := []struct {
		name      string
		situation Cluster
		requests  []Request
		want      []string
	}{
		{"equal hosts are taken by name", Cluster{Hosts: hosts("c", "a", "b")}, requests(4), []string{"a", "b", "c", "a"}},
		{"the host with most CPU left comes first", Cluster{Hosts: big}, requests(1), []string{"b"}},
		{"the host with fewest instances of the service comes first", Cluster{
			Hosts:     hosts("a", "b", "c"),
			Instances: []Instance{{"shop", "web", "a"}, {"shop", "web", "b"}},
		}, requests(1), []string{"c"}},
		{"then the host with fewest instances of the app", Cluster{
			Hosts:     hosts("a", "b", "c"),
			Instances: []Instance{{"shop", "db", "a"}, {"shop", "db", "b"}},
		}, requests(1), []string{"c"}},
		{"instances of other apps do not count", Cluster{
			Hosts:     hosts("a", "b"),
			Instances: []Instance{{"blog", "web", "a"}},
		}, requests(1), []string{"a"}},
		{"the number of instances counts more than the room", Cluster{
			Hosts: big, Instances: []Instance{{"shop", "web", "b"}},
		}, requests(1), []string{"a"}},
	}
	avoiding := requests(2)
	avoiding[0].Avoid, avoiding[1].Avoid = "a", "a"
	for _, more := range []struct {
		name  string
		hosts []Host
		want  []string
	}{
		{"the host where the last task failed comes last", hosts("a", "b"), []string{"b", "b"}},
		{"the host where the last task failed is better than none", hosts("a"), []string{"a", "a"}},
	} {
		t.Run(more.name, func(t *testing.T) {
			if diff := cmp.Diff(more.want, where(Place(Cluster{Hosts: more.hosts}, avoiding))); diff != "" {
				t.Errorf("the assignments differ (-want +got):\n%s", diff)
			}
		})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, where(Place(tt.situation, tt.requests))); diff != "" {
				t.Errorf("the assignments differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHostsRefuseWithAReason(t *testing.T) {
	port := app.Port{Host: 8080, Target: 80, Proto: "tcp"}
	tests := []struct {
		name   string
		change func(*Host, *Cluster, *Request)
		want   Refusal
	}{
		{"too little CPU", func(h *Host, _ *Cluster, _ *Request) { h.CPUs = 0.05 },
			Refusal{"h1", Resources, "cpus 0.1 of 0.05 left"}},
		{"too little memory", func(h *Host, _ *Cluster, _ *Request) { h.MemBytes = 32 << 20 },
			Refusal{"h1", Resources, "memory 64 MiB of 32 MiB left"}},
		{"a taken host port", func(_ *Host, s *Cluster, r *Request) {
			r.Ports = []app.Port{port}
			s.Taken = []Taken{{"h1", port, "shop/api.2", "shop", "api"}}
		}, Refusal{"h1", Port, "host port 8080/tcp taken by shop/api.2"}},
		{"a host port of a container that is no service", func(_ *Host, s *Cluster, r *Request) {
			r.Ports = []app.Port{port}
			s.Taken = []Taken{{Host: "h1", Port: port, Holder: "container c"}}
		}, Refusal{"h1", Port, "host port 8080/tcp taken by container c"}},
		{"a replica's host port that leads to another port", func(_ *Host, s *Cluster, r *Request) {
			r.Ports = []app.Port{{Host: 8080, Target: 81, Proto: "tcp"}}
			s.Taken = []Taken{{"h1", port, "shop/web.2", "shop", "web"}}
		}, Refusal{"h1", Port, "host port 8080/tcp taken by shop/web.2"}},
		{"a host port that is taken on all addresses", func(_ *Host, s *Cluster, r *Request) {
			r.Ports = []app.Port{{Host: 8080, Target: 80, Proto: "tcp", HostIP: "127.0.0.1"}}
			s.Taken = []Taken{{"h1", port, "shop/web.2", "shop", "web"}}
		}, Refusal{"h1", Port, "host port 8080/tcp taken by shop/web.2"}},
		{"a host port of a replica that cannot share it", func(_ *Host, s *Cluster, r *Request) {
			r.Ports, r.ExclusivePorts = []app.Port{port}, true
			s.Taken = []Taken{{"h1", port, "shop/web.2", "shop", "web"}}
		}, Refusal{"h1", Port, "host port 8080/tcp taken by shop/web.2"}},
		{"a volume on another host", func(_ *Host, s *Cluster, r *Request) {
			r.Volumes = []string{"shop_data"}
			s.Pins = map[string]string{"shop_data": "h2"}
		}, Refusal{"h1", Volume, "volume shop_data is on h2"}},
		{"a constraint", func(_ *Host, _ *Cluster, r *Request) {
			r.Constraints = []app.Constraint{{Attribute: "hostname", Op: "!=", Value: "h1"}}
		}, Refusal{"h1", Constraint, "constraint hostname != h1"}},
		{"a constraint on a host name with its domain", func(_ *Host, _ *Cluster, r *Request) {
			r.Constraints = []app.Constraint{{Attribute: "hostname", Op: "!=", Value: "H1.example.com"}}
		}, Refusal{"h1", Constraint, "constraint hostname != H1.example.com"}},
		{"a constraint on an attribute that the host does not have", func(_ *Host, _ *Cluster, r *Request) {
			r.Constraints = []app.Constraint{{Attribute: "zone", Op: "==", Value: "b"}}
		}, Refusal{"h1", Constraint, "constraint zone == b"}},
		{"a host with a problem", func(h *Host, _ *Cluster, _ *Request) { h.Problem = "linker of h1 is down" },
			Refusal{"h1", Problem, "linker of h1 is down"}},
		{"a host without an offer", func(h *Host, _ *Cluster, _ *Request) { h.Offered = false },
			Refusal{"h1", NoOffer, "no offer from h1 now"}},
		{"a host without an offer whose last one was too small", func(h *Host, _ *Cluster, _ *Request) { h.Offered, h.CPUs = false, 0 },
			Refusal{"h1", Resources, "cpus 0.1 of 0 left"}},
		{"a request for another host", func(_ *Host, _ *Cluster, r *Request) { r.Host = "h9" },
			Refusal{"h1", WrongHost, "this instance is for h9"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Cluster{Hosts: hosts("h1")}
			r := requests(1)
			tt.change(&s.Hosts[0], &s, &r[0])
			result := Place(s, r)
			if diff := cmp.Diff([]Refusal{tt.want}, result.Refused[0]); diff != "" || len(result.Assigned) > 0 {
				t.Errorf("Place assigns %v, and refuses with (-want +got):\n%s", result.Assigned, diff)
			}
		})
	}
}

func TestRequestsThatFitAreAssigned(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Cluster, *Request)
	}{
		{"CPU to the last thousandth", func(s *Cluster, r *Request) { s.Hosts[0].CPUs, r.CPUs = 0.1+0.2, 0.3 }},
		{"a port taken for another protocol", func(s *Cluster, r *Request) {
			r.Ports = []app.Port{{Host: 53, Proto: "udp"}}
			s.Taken = []Taken{{Host: "h1", Port: app.Port{Host: 53, Proto: "tcp"}, Holder: "x"}}
		}},
		{"a port taken on another address", func(s *Cluster, r *Request) {
			r.Ports = []app.Port{{Host: 53, Proto: "udp", HostIP: "127.0.0.1"}}
			s.Taken = []Taken{{Host: "h1", Port: app.Port{Host: 53, Proto: "udp", HostIP: "127.0.0.2"}, Holder: "x"}}
		}},
		{"a port that a replica shares", func(s *Cluster, r *Request) {
			r.Ports = []app.Port{{Host: 53, Target: 53, Proto: "udp", HostIP: "0.0.0.0"}}
			s.Taken = []Taken{{"h1", app.Port{Host: 53, Target: 53, Proto: "udp", Name: "dns"}, "shop/web.2", "shop", "web"}}
		}},
		{"the host of the volume", func(s *Cluster, r *Request) {
			r.Volumes, s.Pins = []string{"v"}, map[string]string{"v": "h1"}
		}},
		{"a constraint on an attribute that the host does not have", func(_ *Cluster, r *Request) {
			r.Constraints = []app.Constraint{{Attribute: "zone", Op: "!=", Value: "b"}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Cluster{Hosts: hosts("h1")}
			r := requests(1)
			tt.change(&s, &r[0])
			if result := Place(s, r); len(result.Assigned) != 1 {
				t.Errorf("Place refuses a request that fits: %v", result.Refused)
			}
		})
	}
}

func TestLaterRequestsSeeEarlierOnes(t *testing.T) {
	r := requests(3)
	for i := range r {
		r[i].Ports = []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}}
		r[i].Service = fmt.Sprint("web", i)
	}
	result := Place(Cluster{Hosts: hosts("h1", "h2")}, r)
	if diff := cmp.Diff([]string{"h1", "h2"}, where(result)); diff != "" {
		t.Errorf("the assignments differ (-want +got):\n%s", diff)
	}
	want := []Refusal{
		{"h1", Port, "host port 8080/tcp taken by shop/web0.1"}, {"h2", Port, "host port 8080/tcp taken by shop/web1.2"},
	}
	if diff := cmp.Diff(map[int][]Refusal{2: want}, result.Refused); diff != "" {
		t.Errorf("the assignments differ (-want +got):\n%s", diff)
	}
	two := []Request{{App: "a", Service: "x", Volumes: []string{"v"}}, {App: "a", Service: "y", Volumes: []string{"v"}}}
	if got := where(Place(Cluster{Hosts: hosts("h1", "h2")}, two)); got[0] != got[1] {
		t.Errorf("two services with one volume are on the hosts %v", got)
	}
}

func TestPortsOfTheOfferAreAssigned(t *testing.T) {
	s := Cluster{Hosts: hosts("h1")}
	s.Hosts[0].Ports = []PortRange{{0, 79}, {8000, 8080}}
	r := Request{App: "shop", Service: "web", Ports: []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}, {Target: 81, Proto: "tcp"}, {Host: 8001, Last: 8002, Proto: "tcp"}, {Host: 443, Proto: "tcp"}}}
	want := []Assignment{{Host: "h1", OfferedPorts: []uint16{8080}}}
	if diff := cmp.Diff(want, Place(s, []Request{r}).Assigned); diff != "" {
		t.Errorf("the assignments differ (-want +got):\n%s", diff)
	}
}

// Replicas on one host share the port, but the offer has it only once.
func TestReplicasShareAHostPort(t *testing.T) {
	s := Cluster{Hosts: hosts("h1", "h2")}
	s.Hosts[0].Ports = []PortRange{{8000, 8080}}
	r := requests(3)
	for i := range r {
		r[i].Ports = []app.Port{{Host: 8080, Target: 80, Proto: "tcp"}, {Target: 81, Proto: "tcp"}}
	}
	want := []Assignment{{Request: 0, Host: "h1", OfferedPorts: []uint16{8080}}, {Request: 1, Host: "h2"}, {Request: 2, Host: "h1"}}
	if diff := cmp.Diff(want, Place(s, r).Assigned); diff != "" {
		t.Errorf("the assignments differ (-want +got):\n%s", diff)
	}
}

func TestSummaryAndPermanent(t *testing.T) {
	tests := []struct {
		name      string
		refusals  []Refusal
		want      string
		permanent bool
	}{
		{"no host is known", nil, "no host has joined the cluster", false},
		{"hosts with one reason are named together", []Refusal{{"h1", Resources, "cpus 1 of 0 left"}, {"h2", Resources, "cpus 1 of 0 left"}}, "h1, h2: cpus 1 of 0 left", true},
		{"two reasons make two parts", []Refusal{{"h1", Resources, "cpus 1 of 0 left"}, {"h2", Problem, "linker of h2 is down"}}, "h1: cpus 1 of 0 left; h2: linker of h2 is down", false},
		{"the host of the volume refuses", []Refusal{{"h1", Volume, "volume v is on h2"}, {"h2", NoOffer, "no offer from h2 now"}}, "volume v is on h2; h2: no offer from h2 now", false},
		{"the host of the volume is not known", []Refusal{{"h1", Volume, "volume v is on h2"}}, "volume v is on h2, which is away", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Summary(tt.refusals); got != tt.want {
				t.Errorf("Summary returns %q, want %q", got, tt.want)
			}
			if got := Permanent(tt.refusals); got != tt.permanent {
				t.Errorf("Permanent returns %v", got)
			}
		})
	}
}

// BenchmarkPlace places 10,000 instances on 1,000 hosts, the largest cluster that Tombolo is made for.
func BenchmarkPlace(b *testing.B) {
	s := Cluster{}
	for i := range 1000 {
		s.Hosts = append(s.Hosts, Host{Name: "h" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Offered: true, CPUs: 8, MemBytes: 16 << 30})
	}
	r := requests(10_000)
	for b.Loop() {
		if got := Place(s, r); len(got.Assigned) != len(r) {
			b.Fatal(len(got.Assigned))
		}
	}
}
