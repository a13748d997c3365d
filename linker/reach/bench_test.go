package reach_test

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"
	"time"

	"tombolo/linker/reach"
	"tombolo/linker/record"
)

// large returns 1,000 apps of 5 services with 10 endpoints each, on 1,000 hosts.
func large() *record.Snapshot {
	s := newCluster().s
	for a := range 1000 {
		app := fmt.Sprint("app", a)
		services := map[string]record.Service{}
		for v := range 5 {
			services[fmt.Sprint("s", v)] = record.Service{
				Networks: nets(app + "_default:alias"), Links: []record.Link{{Service: "s0", Alias: "first"}}, Replicas: 10, Ports: tcp(80),
			}
			for i := range 10 {
				n := a*50 + v*10 + i
				id := fmt.Sprint("e", n)
				s.Endpoints[id] = &record.Endpoint{
					ID: id, Host: fmt.Sprint("h", (n*7)%1000), Container: fmt.Sprintf("%064x", n), App: app, Service: fmt.Sprint("s", v), Slot: i + 1,
					Addr4:   netip.AddrFrom4([4]byte{100, 64 + byte(n>>16), byte(n >> 8), byte(n)}),
					Running: true, Health: record.HealthHealthy, Generation: 1,
				}
			}
		}
		s.Apps[app] = &record.App{Name: app, Services: services}
		h := fmt.Sprint("h", a)
		s.Hosts[h] = &record.Host{Name: h, Underlay: netip.AddrFrom4([4]byte{198, 18, byte(a >> 8), byte(a)})}
	}
	return s
}

// All views and grants of one host of 1,000 take at most 5 s.
func TestLargeClusterIsComputedInTime(t *testing.T) {
	s := large()
	start := time.Now()
	r := reach.Of(s)
	views, granted := 0, 0
	for _, g := range r.Groups("h1") {
		granted += len(g.From) * len(g.To)
	}
	for id, e := range s.Endpoints {
		if e.Host == "h1" {
			views++
			if n := len(r.Names(id).Names); n < 1000 {
				t.Fatalf("endpoint %s sees %d names, want at least those of the 1,000 hosts", id, n)
			}
		}
	}
	if views != 50 || granted < 50*49 {
		t.Errorf("the host has %d views and %d grants, want 50 and at least %d", views, granted, 50*49)
	}
	took := time.Since(start)
	t.Logf("50 views and %d grants of 50,000 endpoints: %v", granted, took)
	if took > 5*time.Second {
		t.Errorf("views and grants took %v, want at most 5s", took)
	}
}

func BenchmarkOf(b *testing.B) {
	s := large()
	for b.Loop() {
		reach.Of(s)
	}
}

func BenchmarkNames(b *testing.B) {
	r := reach.Of(large())
	for b.Loop() {
		r.Names("e1")
	}
}

func BenchmarkGroups(b *testing.B) {
	r := reach.Of(large())
	for b.Loop() {
		r.Groups("h1")
	}
}

func BenchmarkAllowed(b *testing.B) {
	r := reach.Of(large())
	for b.Loop() {
		r.Allowed("e1", "e2", record.Port{Number: 80, Proto: "tcp"})
	}
}

// BenchmarkRevoked compares the relations before and after the health of one of 50,000
// endpoints changed.
func BenchmarkRevoked(b *testing.B) {
	before := large()
	after := *before
	after.Endpoints = maps.Clone(before.Endpoints)
	changed := *before.Endpoints["e1"]
	changed.Health = record.HealthUnhealthy
	after.Endpoints["e1"] = &changed
	old, now := reach.Of(before), reach.Of(&after)
	for b.Loop() {
		reach.Revoked(old, now, &after, "h1")
	}
}

// BenchmarkRevokedByARecord replaces the app record of 50 endpoints.
func BenchmarkRevokedByARecord(b *testing.B) {
	before := large()
	after := *before
	after.Apps = maps.Clone(before.Apps)
	strict := *before.Apps["app1"]
	strict.Strict = true
	after.Apps["app1"] = &strict
	old, now := reach.Of(before), reach.Of(&after)
	for b.Loop() {
		reach.Revoked(old, now, &after, "h1")
	}
}
