package place

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tombolo/framework/app"
)

func drawSituation(t *rapid.T) (Cluster, []Request) {
	name := rapid.SampledFrom([]string{"h1", "h2", "h3", "h4"})
	s := Cluster{Pins: map[string]string{}}
	for _, host := range rapid.SliceOfNDistinct(name, 0, 4, rapid.ID[string]).Draw(t, "hosts") {
		s.Hosts = append(s.Hosts, Host{
			Name: host, Offered: rapid.Bool().Draw(t, "offered"),
			CPUs: rapid.Float64Range(0, 1).Draw(t, "cpus"), MemBytes: rapid.Int64Range(0, 1<<30).Draw(t, "memory"),
			Problem: rapid.SampledFrom([]string{"", "", "down"}).Draw(t, "problem"),
		})
	}
	volume := rapid.SampledFrom([]string{"v1", "v2"})
	if rapid.Bool().Draw(t, "pinned") {
		s.Pins[volume.Draw(t, "pin")] = name.Draw(t, "pinned to")
	}
	kinds := map[string]Request{} // replicas differ only in their slots
	for _, service := range []string{"x", "y", "z"} {
		r := Request{
			App: "a", Service: service, ExclusivePorts: rapid.Bool().Draw(t, "alone"),
			CPUs: rapid.Float64Range(0.01, 0.5).Draw(t, "wants cpus"), MemBytes: rapid.Int64Range(1, 1<<29).Draw(t, "wants memory"),
		}
		if rapid.Bool().Draw(t, "publishes") {
			r.Ports = []app.Port{{Host: rapid.Uint16Range(80, 81).Draw(t, "port"), Proto: "tcp"}}
		}
		if rapid.Bool().Draw(t, "mounts") {
			r.Volumes = []string{volume.Draw(t, "volume")}
		}
		kinds[service] = r
	}
	var requests []Request
	for i := range rapid.IntRange(0, 12).Draw(t, "requests") {
		r := kinds[rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "service")]
		r.Slot = i + 1
		requests = append(requests, r)
	}
	return s, requests
}

// Each request is assigned, or refused by every host for good. No room is given twice,
// volumes stay where they are, and the order of the hosts does not matter.
func TestPlaceKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, requests := drawSituation(t)
		got := Place(s, requests)
		if len(got.Assigned)+len(got.Refused) != len(requests) {
			t.Fatalf("of %d requests, %d are assigned and %d refused", len(requests), len(got.Assigned), len(got.Refused))
		}
		for i, why := range got.Refused {
			if len(why) != len(s.Hosts) {
				t.Fatalf("request %d is refused, but only by %d of %d hosts", i, len(why), len(s.Hosts))
			}
		}
		checkRoom(t, s, requests, got)
		checkRefused(t, s, requests, got)
		slices.Reverse(s.Hosts)
		if diff := cmp.Diff(got, Place(s, requests)); diff != "" {
			t.Fatalf("the result depends on the order of the hosts: %s", diff)
		}
	})
}

// checkRefused asks for each refused request again, after all the assigned ones: it must
// be refused again, even if Place refused it only because a replica was refused.
func checkRefused(t *rapid.T, s Cluster, requests []Request, got Result) {
	var placed []Request
	for _, a := range got.Assigned {
		placed = append(placed, requests[a.Request])
	}
	for i := range got.Refused {
		if again := Place(s, append(slices.Clip(placed), requests[i])); again.Refused[len(placed)] == nil && len(s.Hosts) > 0 {
			t.Fatalf("request %d was refused, but fits: %+v", i, again.Assigned)
		}
	}
}

// checkRoom adds up the assignments of each host.
func checkRoom(t *rapid.T, s Cluster, requests []Request, got Result) {
	cpus, memory := map[string]int64{}, map[string]int64{}
	ports, pins := map[string]string{}, map[string]string{}
	for volume, host := range s.Pins {
		pins[volume] = host
	}
	for _, a := range got.Assigned {
		r := requests[a.Request]
		cpus[a.Host] += milli(r.CPUs)
		memory[a.Host] += r.MemBytes
		for _, p := range r.Ports {
			key := fmt.Sprint(a.Host, p.Host)
			if by := ports[key]; by != "" && (by != r.Service || r.ExclusivePorts) {
				t.Fatalf("port %d of host %s is given twice", p.Host, a.Host)
			}
			ports[key] = r.Service
		}
		for _, v := range r.Volumes {
			if pins[v] != "" && pins[v] != a.Host {
				t.Fatalf("volume %s is on host %s, but used on %s", v, pins[v], a.Host)
			}
			pins[v] = a.Host
		}
	}
	for _, h := range s.Hosts {
		if cpus[h.Name] > milli(h.CPUs) || memory[h.Name] > h.MemBytes {
			t.Fatalf("host %s gives more than it has", h.Name)
		}
		if (!h.Offered || h.Problem != "") && cpus[h.Name] > 0 {
			t.Fatalf("host %s gets an instance without an offer, or in spite of its problem", h.Name)
		}
	}
}
