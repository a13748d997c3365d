package place

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tombolo/framework/app"
)

func drawSituation(t *rapid.T) (Situation, []Request) {
	name := rapid.SampledFrom([]string{"h1", "h2", "h3", "h4"})
	s := Situation{Pins: map[string]string{}}
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
	var requests []Request
	for i := range rapid.IntRange(0, 12).Draw(t, "requests") {
		r := Request{
			App: "a", Service: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "service"), Slot: i + 1,
			CPUs: rapid.Float64Range(0.01, 0.5).Draw(t, "wants cpus"), MemBytes: rapid.Int64Range(1, 1<<29).Draw(t, "wants memory"),
		}
		r.Service += fmt.Sprint(i) // twins are alike; these are not
		if rapid.Bool().Draw(t, "publishes") {
			r.Ports = []app.Port{{Host: rapid.Uint16Range(80, 82).Draw(t, "port"), Proto: "tcp"}}
		}
		if rapid.Bool().Draw(t, "mounts") {
			r.Volumes = []string{volume.Draw(t, "volume")}
		}
		requests = append(requests, r)
	}
	return s, requests
}

// TestPlaceKeepsItsPromises: each request is assigned or refused by every host;
// nothing is given twice; what is pinned stays; the order of hosts is no matter.
func TestPlaceKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, requests := drawSituation(t)
		got := Place(s, requests)
		if len(got.Assigned)+len(got.Refused) != len(requests) {
			t.Fatalf("%d assigned, %d refused of %d", len(got.Assigned), len(got.Refused), len(requests))
		}
		for i, why := range got.Refused {
			if len(why) != len(s.Hosts) {
				t.Fatalf("request %d is refused by %d of %d hosts", i, len(why), len(s.Hosts))
			}
		}
		checkRoom(t, s, requests, got)
		slices.Reverse(s.Hosts)
		if diff := cmp.Diff(got, Place(s, requests)); diff != "" {
			t.Fatalf("the order of hosts matters: %s", diff)
		}
	})
}

func checkRoom(t *rapid.T, s Situation, requests []Request, got Result) {
	cpus, memory := map[string]int64{}, map[string]int64{}
	ports, pins := map[string]bool{}, map[string]string{}
	for volume, host := range s.Pins {
		pins[volume] = host
	}
	for _, a := range got.Assigned {
		r := requests[a.Request]
		cpus[a.Host] += milli(r.CPUs)
		memory[a.Host] += r.MemBytes
		for _, p := range r.Ports {
			key := fmt.Sprint(a.Host, p.Host)
			if ports[key] {
				t.Fatalf("port %d of %s is given twice", p.Host, a.Host)
			}
			ports[key] = true
		}
		for _, v := range r.Volumes {
			if pins[v] != "" && pins[v] != a.Host {
				t.Fatalf("volume %s of %s is used on %s", v, pins[v], a.Host)
			}
			pins[v] = a.Host
		}
	}
	for _, h := range s.Hosts {
		if cpus[h.Name] > milli(h.CPUs) || memory[h.Name] > h.MemBytes {
			t.Fatalf("%s has given more than it has", h.Name)
		}
		if (!h.Offered || h.Problem != "") && cpus[h.Name] > 0 {
			t.Fatalf("%s takes nothing and was given something", h.Name)
		}
	}
}
