package cli

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"tombolo/linker/api"
	"tombolo/linker/api/apitest"
	"tombolo/linker/record"
)

func TestResolvePrintsAddressesOrWhyThereAreNone(t *testing.T) {
	db := api.Resolution{Name: "db.shop.tombolo.internal", Exists: true, Targets: []record.Target{
		{Name: "1.db.shop", Addr4: netip.MustParseAddr("100.64.1.2"), Addr6: netip.MustParseAddr("fd00::2")},
		{Name: "2.db.shop", Addr4: netip.MustParseAddr("100.64.2.2")},
	}}
	cache := api.Resolution{Name: "cache.shop.tombolo.internal", Exists: true, Service: true,
		Targets:   []record.Target{{Name: "cache.shop", Addr4: netip.MustParseAddr("100.127.0.9"), Addr6: netip.MustParseAddr("fd00::9")}},
		Instances: []record.Target{{Name: "1.cache.shop", Addr4: netip.MustParseAddr("100.64.1.9")}}}
	ill := cache
	ill.Instances = nil
	socket := (&apitest.Linker{
		Output: map[string][]api.LogLine{"web-1": nil, "100.64.1.9": nil},
		Names: map[string]api.Resolution{"web-1 db": db, "web-1 cache": cache, "web-1 ill": ill, " cache.shop": cache, "web-1 idle": {Name: "idle", Exists: true},
			" 1.web.shop": {Name: "1.web.shop", Exists: true, Targets: []record.Target{{Addr4: netip.MustParseAddr("100.64.1.9")}}}, "100.64.1.9 db": db},
	}).Serve(t)
	cases := []struct{ name, args, out, err string }{
		{"found", "db --from web-1", "100.64.1.2  1.db.shop\nfd00::2     1.db.shop\n100.64.2.2  2.db.shop\n", ""},
		{"found by an instance", "db --from 1.web.shop", "100.64.1.2  1.db.shop\nfd00::2     1.db.shop\n100.64.2.2  2.db.shop\n", ""},
		{"a service", "cache --from web-1", "100.127.0.9   cache.shop\nfd00::9       cache.shop\n  100.64.1.9  1.cache.shop\n", ""},
		{"a service without a healthy instance", "ill --from web-1", "100.127.0.9  cache.shop\nfd00::9      cache.shop\n", "connections are refused"},
		{"asked by an instance of a service", "db --from cache.shop", "100.64.1.2  1.db.shop\nfd00::2     1.db.shop\n100.64.2.2  2.db.shop\n", ""},
		{"not linked", "nosuch --from 1.web.shop", "", "nothing that it is linked to has this name"},
		{"no data", "idle --from web-1", "", "NODATA"},
		{"no name", "db", "", "(NXDOMAIN): the host's names carry the app"},
		{"no container", "db --from gone", "", `no container "gone" is on the overlay`},
		{"no linker", "db --socket /nowhere.sock", "", "no linker runs here"},
		{"no argument", "", "", "takes one name"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cmd := newResolveCommand()
			var out bytes.Buffer
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{"--socket", socket}, strings.Fields(c.args)...))
			err := cmd.Execute()
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if out.String() != c.out {
				t.Errorf("printed %q, want %q", out.String(), c.out)
			}
		})
	}
}
