package reach_test

import (
	"strings"
	"testing"

	"tombolo/linker/reach"
	"tombolo/linker/record"
)

// whySnapshot has two apps: shop with web, db and batch, and pay with api.
func whySnapshot() *record.Snapshot {
	net := func(names ...string) map[string][]string {
		out := map[string][]string{}
		for _, n := range names {
			out[n] = nil
		}
		return out
	}
	s := &record.Snapshot{
		Apps: map[string]*record.App{
			"shop": {Name: "shop", Services: map[string]record.Service{
				"web":   {Networks: net("shop_front"), Links: []record.Link{{Service: "db"}, {App: "pay", Service: "api"}}, Replicas: 1},
				"db":    {Networks: net("shop_back"), Ports: []record.Port{{Number: 5432, Proto: "tcp"}}, Replicas: 1},
				"batch": {Networks: net("shop_front"), Replicas: 1},
			}},
			"pay": {Name: "pay", Services: map[string]record.Service{"api": {Networks: net("pay_default"), Replicas: 1}}},
		},
		Endpoints: map[string]*record.Endpoint{},
	}
	for _, at := range [][2]string{{"shop", "web"}, {"shop", "db"}, {"shop", "batch"}, {"pay", "api"}, {"", ""}} {
		ep := &record.Endpoint{ID: at[1], Host: "h1", App: at[0], Service: at[1], Slot: 1, Running: true, ContainerName: "c-" + at[1]}
		if at[0] == "" {
			ep.ID, ep.Slot, ep.ContainerName = "stranger", 0, "stranger"
		}
		s.Endpoints[ep.Key()] = ep
	}
	return s
}

func TestWhyGivesTheReasonAndTheRemedy(t *testing.T) {
	port := func(n uint16) record.Port { return record.Port{Number: n, Proto: "tcp"} }
	strict := func(s *record.Snapshot) { s.Apps["shop"].Strict = true }
	export := func(s *record.Snapshot) {
		api := s.Apps["pay"].Services["api"]
		api.Export = &record.Export{}
		s.Apps["pay"].Services["api"] = api
	}
	cases := []struct {
		name     string
		change   func(*record.Snapshot)
		from, to string
		port     record.Port
		allowed  bool
		reason   string
		remedy   string
	}{
		{"itself", nil, "web", "web", port(80), true, "a container may reach itself", ""},
		{"a shared network", nil, "web", "batch", port(80), true, "shop/web.1 and shop/batch.1 are both on the network shop_front", ""},
		{"a link, any port", nil, "web", "db", record.Port{}, true, "shop/web.1 has a link to shop/db.1, which permits 5432/tcp", ""},
		{"a link, its port", nil, "web", "db", port(5432), true, "shop/web.1 has a link to shop/db.1, which permits 5432/tcp", ""},
		{"a link, another port", nil, "web", "db", port(22), false, "the link of shop/web.1 to shop/db.1 permits 5432/tcp only", `add "22/tcp" to expose: of shop/db.1`},
		{"no shared network", nil, "batch", "db", port(5432), false,
			"shop/batch.1 (on shop_front) and shop/db.1 (on shop_back) share no network, and there is no link from shop/batch.1 to shop/db.1", "add links: [db] to shop/batch.1"},
		{"links only", strict, "web", "batch", port(80), false,
			"the app shop permits links only (isolation: links), and shop/web.1 has no link to shop/batch.1", "add links: [batch] to shop/web.1"},
		{"a link to what is not exported", nil, "web", "api", port(80), false,
			"shop/web.1 has a link to pay/api.1, whose own file does not export it to the app shop", "x-tombolo: {export: true} to the service api in the file of the app pay"},
		{"a link to what is exported", export, "web", "api", port(80), true, "shop/web.1 has a link to pay/api.1", ""},
		{"another app", nil, "db", "api", port(80), false,
			"shop/db.1 and pay/api.1 are in different apps, which share no external network, and there is no link from shop/db.1 to pay/api.1", "external_links: [api.pay] to shop/db.1"},
		{"a container of no app", nil, "stranger", "db", port(80), false, "container stranger belongs to no app: its labels name none, or cannot be read", "labels"},
		{"a container that nobody announces", nil, "ghost", "db", port(80), false, "no host announces the container h1/ghost", "network tombolo"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := whySnapshot()
			if c.change != nil {
				c.change(s)
			}
			r := reach.Of(s)
			from, to := record.EndpointKey("h1", c.from), record.EndpointKey("h1", c.to)
			got := r.Why(from, to, c.port)
			if got.Allowed != c.allowed || got.Reason != c.reason || !strings.Contains(got.Remedy, c.remedy) || c.remedy == "" && got.Remedy != "" {
				t.Errorf("Why is %+v, want allowed: %v, because %q, with the remedy %q", got, c.allowed, c.reason, c.remedy)
			}
			if got.Allowed != r.Allowed(from, to, c.port) {
				t.Errorf("Why says allowed: %v, and Allowed says the opposite", got.Allowed)
			}
		})
	}
}
