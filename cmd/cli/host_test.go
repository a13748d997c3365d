package cli

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tombolo/linker/api"
	"tombolo/linker/api/apitest"
)

func TestHostCommands(t *testing.T) {
	all := []api.HostState{
		{ID: "k3hq7x2mzt5wvb4c", Name: "h1", Underlay: netip.MustParseAddr("198.18.0.11"), Block4: netip.MustParsePrefix("100.64.1.0/24"), State: api.HostAlive, Since: time.Now().Add(-90 * time.Second), Version: "v1"},
		{ID: "h2", Name: "h2", Underlay: netip.MustParseAddr("198.18.0.12"), State: api.HostSuspended},
		{ID: "h3", Name: "h3", State: api.HostLeft},
	}
	for _, c := range []struct{ name, args, out, err string }{
		{"list", "ls", "NAME  ID                ADDRESS      BLOCK          STATE      SINCE      VERSION\n" +
			"h1    k3hq7x2mzt5wvb4c  198.18.0.11  100.64.1.0/24  alive      1m30s ago  v1\n" +
			"h2    h2                198.18.0.12  -              suspended  -          -\n" +
			"h3    h3                -            -              left       -          -\n", ""},
		{"list as JSON", "ls --format json", `{"id":"h2","name":"h2","underlay":"198.18.0.12","state":"suspended"}`, ""},
		{"list in an unknown format", "ls --format xml", "", "neither table nor json"},
		{"forget", "forget h2", "forgot host h2 (h2)\n", ""},
		{"forget a host that is alive", "forget h1", "", "h1 is alive"},
		{"forget a host that is alive by force", "forget --force h1", "forgot host h1 (k3hq7x2mzt5wvb4c)\n", ""},
		{"forget nobody", "forget h9", "", "not found"},
		{"forget without a name", "forget", "", "one host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := newHostCommand()
			var out bytes.Buffer
			cmd.SetOut(&out)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append(strings.Fields(c.args), "--socket", (&apitest.Linker{All: all}).Serve(t)))
			err := cmd.Execute()
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if !strings.Contains(out.String(), c.out) {
				t.Errorf("printed\n%s, want\n%s", out.String(), c.out)
			}
		})
	}
}
