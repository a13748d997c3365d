package record_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tombolo/linker/record"
	"tombolo/linker/record/recordtest"
)

func TestFromLabelsReversesLabels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := recordtest.Identity().Draw(t, "identity")
		got, err := record.FromLabels(record.Labels(want))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, exact, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("endpoint after Labels and FromLabels (-before +after):\n%s", d)
		}
	})
}

func TestIdentityIsReadFromLabels(t *testing.T) {
	tests := map[string]struct {
		labels map[string]string
		want   record.Endpoint
	}{
		"none":                  {nil, record.Endpoint{}},
		"only labels of others": {map[string]string{"maintainer": "x", "tombolo.service": "db"}, record.Endpoint{}},
		"app only":              {map[string]string{"tombolo.app": "shop"}, record.Endpoint{App: "shop", Networks: map[string][]string{"shop_default": nil}}},
		"all": {
			map[string]string{
				"tombolo.app": "Shop", "tombolo.service": "db", "tombolo.slot": "1", "tombolo.generation": "7",
				"tombolo.task": "shop.db.1.g7", "tombolo.networks": `{"shop_back":["Store"],"ext":null}`,
				"tombolo.links":     `[{"app":"pay","service":"api","alias":"Pay"}]`,
				"tombolo.export":    `{"to":["web"]}`,
				"tombolo.ports":     `[{"name":"pg","number":5432,"proto":"tcp"}]`,
				"tombolo.isolation": "links", "tombolo.internal": "true", "tombolo.name": "the_db",
				"tombolo.endpoint-mode": "dnsrr",
			},
			record.Endpoint{
				App: "shop", Service: "db", Slot: 1, Generation: 7, Task: "shop.db.1.g7",
				Networks: map[string][]string{"shop_back": {"store"}, "ext": nil},
				Links:    []record.Link{{App: "pay", Service: "api", Alias: "pay"}},
				Export:   &record.Export{To: []string{"web"}},
				Ports:    []record.Port{{Name: "pg", Number: 5432, Proto: "tcp"}},
				Strict:   true, Internal: true, DNSRR: true, ContainerName: "the_db",
			},
		},
		"endpoint mode vip": {
			map[string]string{"tombolo.app": "shop", "tombolo.service": "db", "tombolo.endpoint-mode": "vip"},
			record.Endpoint{App: "shop", Service: "db", Networks: map[string][]string{"shop_default": nil}},
		},
		"no network at all": {
			map[string]string{"tombolo.app": "shop", "tombolo.service": "db", "tombolo.networks": "{}"},
			record.Endpoint{App: "shop", Service: "db", Networks: map[string][]string{}},
		},
		"docker compose": {
			map[string]string{"com.docker.compose.project": "blog", "com.docker.compose.service": "web", "com.docker.compose.container-number": "3", "com.docker.compose.oneoff": "False"},
			record.Endpoint{App: "blog", Service: "web", Slot: 3, Networks: map[string][]string{"blog_default": nil}},
		},
		"docker compose run": {
			map[string]string{"com.docker.compose.project": "blog", "com.docker.compose.service": "web", "com.docker.compose.container-number": "1", "com.docker.compose.oneoff": "True"},
			record.Endpoint{App: "blog", Networks: map[string][]string{"blog_default": nil}},
		},
		"internal without an app": {map[string]string{"tombolo.internal": "true"}, record.Endpoint{Internal: true}},
		"docker compose, internal": {
			map[string]string{"com.docker.compose.project": "blog", "tombolo.internal": "T"},
			record.Endpoint{App: "blog", Networks: map[string][]string{"blog_default": nil}, Internal: true},
		},
		"keys of a newer version": {
			map[string]string{
				"tombolo.app": "shop", "tombolo.new": "?", "tombolo.networks": `{}`,
				"tombolo.links": `[{"service":"db","weight":3}]`, "tombolo.export": `{"from":["x"]}`, "tombolo.ports": `[{"number":80,"proto":"tcp","tls":true}]`,
			},
			record.Endpoint{
				App: "shop", Networks: map[string][]string{}, Links: []record.Link{{Service: "db"}},
				Export: &record.Export{}, Ports: []record.Port{{Number: 80, Proto: "tcp"}},
			},
		},
		"our labels win over those of docker compose": {
			map[string]string{"com.docker.compose.project": "blog", "com.docker.compose.service": "web", "tombolo.app": "shop", "tombolo.service": "db"},
			record.Endpoint{App: "shop", Service: "db", Networks: map[string][]string{"shop_default": nil}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := record.FromLabels(tt.labels)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got, exact); d != "" {
				t.Errorf("endpoint (-want +got):\n%s", d)
			}
		})
	}
}

func TestInternalHasEverySpellingOfABoolean(t *testing.T) {
	for value, want := range map[string]bool{
		"1": true, "t": true, "T": true, "true": true, "True": true, "TRUE": true,
		"0": false, "f": false, "F": false, "false": false, "False": false, "FALSE": false,
	} {
		got, err := record.FromLabels(map[string]string{"tombolo.app": "shop", "tombolo.internal": value})
		if err != nil || got.Internal != want || got.App != "shop" {
			t.Errorf("tombolo.internal=%s makes internal %v in app %q (%v), want %v in shop", value, got.Internal, got.App, err, want)
		}
	}
}

func TestFromLabelsRefusesBadLabels(t *testing.T) {
	tests := map[string]struct{ key, value, want string }{
		"app":             {"tombolo.app", "a b", "tombolo.app"},
		"long app":        {"tombolo.app", strings.Repeat("a", 64), "at most 63"},
		"service":         {"tombolo.service", "-db", "tombolo.service"},
		"slot":            {"tombolo.slot", "-1", "tombolo.slot"},
		"slot too large":  {"tombolo.slot", "4294967296", "tombolo.slot"},
		"generation":      {"tombolo.generation", "x", "tombolo.generation"},
		"not JSON":        {"tombolo.networks", "shop_default", "tombolo.networks"},
		"wrong JSON":      {"tombolo.networks", `["shop_default"]`, "tombolo.networks"},
		"two JSON values": {"tombolo.links", `[] []`, "tombolo.links"},
		"link":            {"tombolo.links", `[{"alias":"x"}]`, "link: empty DNS label"},
		"alias":           {"tombolo.networks", `{"n":["a..b"]}`, "empty DNS label"},
		"port":            {"tombolo.ports", `[{"number":65536,"proto":"tcp"}]`, "tombolo.ports"},
		"port 0":          {"tombolo.ports", `[{"number":0,"proto":"tcp"}]`, "port 0"},
		"protocol":        {"tombolo.ports", `[{"number":1}]`, "protocol"},
		"isolation":       {"tombolo.isolation", "strict", "tombolo.isolation"},
		"endpoint mode":   {"tombolo.endpoint-mode", "roundrobin", "neither vip nor dnsrr"},
		"no isolation":    {"tombolo.isolation", "", "tombolo.isolation"},
		"internal":        {"tombolo.internal", "yes", "tombolo.internal"},
		"no internal":     {"tombolo.internal", "", "tombolo.internal"},
		"container name":  {"tombolo.name", "a\x00", "container name"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			labels := map[string]string{"tombolo.app": "shop", "tombolo.service": "db", tt.key: tt.value}
			got, err := record.FromLabels(labels)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("FromLabels returned %v, want an error that says %q", err, tt.want)
			}
			if d := cmp.Diff(record.Endpoint{Internal: true}, got, exact); d != "" {
				t.Errorf("the endpoint of a bad label is not shut off (-want +got):\n%s", d)
			}
		})
	}
}

func TestCheckLabelAndName(t *testing.T) {
	long := strings.Repeat("a", 63)
	tests := []struct {
		s           string
		label, name bool
	}{
		{"db", true, true}, {"DB", true, true}, {"a", true, true}, {"1", true, true}, {"my_db", true, true}, {"a-b", true, true},
		{long, true, true}, {long + "a", false, false},
		{"", false, false}, {"-a", false, false}, {"a-", false, false}, {"_tcp", false, false}, {"a b", false, false}, {"é", false, false},
		{"a.b", false, true}, {"a.b.", false, true}, {".", false, false}, {"a..b", false, false}, {".a", false, false},
		{strings.Join([]string{long, long, long, long[:61]}, "."), false, true},
		{strings.Join([]string{long, long, long, long[:62]}, "."), false, false},
	}
	for _, tt := range tests {
		if err := record.CheckLabel(tt.s); (err == nil) != tt.label {
			t.Errorf("CheckLabel(%q) returned %v, want it accepted: %v", tt.s, err, tt.label)
		}
		if err := record.CheckName(tt.s); (err == nil) != tt.name {
			t.Errorf("CheckName(%q) returned %v, want it accepted: %v", tt.s, err, tt.name)
		}
	}
}

func TestHostNameIsADNSLabel(t *testing.T) {
	tests := map[string]string{
		"h1": "h1", "H1": "h1", "agent1.example.com": "agent1", "agent1.": "agent1",
		"10.0.0.1": "10-0-0-1", "fd00::1": "fd00--1", "::1": "1", "ip-10-0-0-1.ec2.internal": "ip-10-0-0-1",
		"": "", "-": "", "a b": "", ".": "",
	}
	for in, want := range tests {
		got, err := record.HostName(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("HostName(%q) returned %q, error %v; want %q", in, got, err, want)
		}
	}
}

func FuzzFromLabels(f *testing.F) {
	f.Add("shop", "db", `{"shop_default":["a"]}`, `[{"service":"db"}]`, `{"to":[]}`, `[{"number":1,"proto":"udp"}]`)
	f.Fuzz(func(t *testing.T, app, service, networks, links, export, ports string) {
		e, err := record.FromLabels(map[string]string{
			record.LabelApp: app, record.LabelService: service, record.LabelNetworks: networks,
			record.LabelLinks: links, record.LabelExport: export, record.LabelPorts: ports,
		})
		if err != nil {
			return
		}
		again, err := record.FromLabels(record.Labels(e))
		if err != nil {
			t.Fatalf("the labels of %+v are refused: %v", e, err)
		}
		if d := cmp.Diff(e, again, exact, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("endpoint after Labels and FromLabels (-before +after):\n%s", d)
		}
	})
}
