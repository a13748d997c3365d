package cli

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"tombolo/linker/api"
	"tombolo/linker/api/apitest"
	"tombolo/linker/inspect"
	"tombolo/linker/record"
)

func TestExplainPrintsTheWayAndItsFailure(t *testing.T) {
	web, db := netip.MustParseAddr("100.64.1.9"), netip.MustParseAddr("100.64.1.7")
	networks := map[string][]string{"shop_default": nil}
	l := &apitest.Linker{
		Self:   api.Status{Ready: true, Host: record.Host{Name: "h1"}},
		Output: map[string][]api.LogLine{web.String(): nil},
		Names: map[string]api.Resolution{web.String() + " db.shop.tombolo.internal": {
			Exists: true, Targets: []record.Target{{Name: "1.db.shop", Addr4: db}},
		}},
		Looks: map[string]inspect.Result{
			web.String(): {
				Answer: &inspect.Answer{Rcode: "NOERROR"}, Route: &inspect.Route{Device: "tb1"},
				Connection: &inspect.Connection{Outcome: inspect.Refused, Error: "connection refused"},
			},
			db.String(): {Sockets: &inspect.Sockets{Listening: []inspect.Socket{{Proto: "tcp", Addr: netip.MustParseAddrPort("127.0.0.1:5432")}}}},
		},
	}
	l.Change(func(s *record.Snapshot) {
		s.Hosts = map[string]*record.Host{"h1": {Name: "h1"}}
		s.Endpoints = map[string]*record.Endpoint{}
		for _, ep := range []*record.Endpoint{{ID: "w", Service: "web", Addr4: web}, {ID: "d", Service: "db", Addr4: db}} {
			ep.Host, ep.App, ep.Slot, ep.Networks, ep.Running, ep.Health = "h1", "shop", 1, networks, true, record.HealthHealthy
			s.Endpoints[ep.Key()] = ep
		}
	})
	socket := l.Serve(t)
	cases := []struct {
		name, args string
		out, err   string // parts of what is printed
	}{
		{"text", "web.1 db:5432", "failed  listener: shop/db.1 listens on 127.0.0.1:5432/tcp only", "web.1 does not reach db:5432/tcp: listener"},
		{"the remedy", "web.1 db:5432", "  remedy: let the program listen on 0.0.0.0 or ::\n", "listener"},
		{"json", "web.1 db:5432 --format json", `"name":"listener","host":"h1","state":"failed"`, "listener"},
		{"no such container", "nobody db", "", `FROM: "nobody" names no container`},
		{"no such target", "web.1 nobody", "", `TO: "nobody" names no container`},
		{"a bad port", "web.1 db:http", "", `"http" is not a port`},
		{"an unknown format", "web.1 db --format xml", "", "neither text nor json"},
		{"no linker", "web.1 db --socket /nowhere.sock", "", "no linker runs here"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cmd := newExplainCommand()
			var out bytes.Buffer
			cmd.SetOut(&out)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{"--socket", socket}, strings.Fields(c.args)...))
			err := cmd.Execute()
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(out.String(), c.out) {
				t.Errorf("explain %s printed %q with the error %v, want %q and %q", c.args, out.String(), err, c.out, c.err)
			}
		})
	}
}
