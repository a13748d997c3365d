package cli

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"tombolo/linker/api"
	"tombolo/linker/api/apitest"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

func TestLinkerStatusShowsHostsAndProblems(t *testing.T) {
	self := api.Status{
		Version: "v1", Ready: true,
		Host:     record.Host{Name: "h1", Underlay: netip.MustParseAddr("198.18.0.11"), Block4: netip.MustParsePrefix("100.64.1.0/24")},
		Peers:    []api.Peer{{Name: "h2", State: "alive"}, {Name: "h3", State: "suspended"}},
		Counters: map[string]uint64{"overlay.repaired_route": 2, "overlay.repaired_sysctl": 1, "overlay.refused": 9},
	}
	broken := self
	broken.Ready, broken.Problems = false, []problem.Problem{problem.New(problem.OverlayIncomplete, problem.Found{Subject: "rule", Reason: "kernel without VXLAN"})}
	degraded := self
	degraded.Problems = []problem.Problem{problem.New(problem.PortConflict, problem.Found{Subject: "80/tcp", Reason: "taken"})}
	starting := self
	starting.Ready = false
	cases := []struct {
		name string
		self api.Status
		args string
		out  string
		err  string
	}{
		{"ready", self, "", "HOST  READY  UNDERLAY     BLOCK          PEERS                  REPAIRS  VERSION\n" +
			"h1    yes    198.18.0.11  100.64.1.0/24  1 alive, h3 suspended  3        v1\n", ""},
		{"with a problem", broken, "--format json", `"problems":[{"name":"overlay-incomplete","severity":"outage","subject":"rule","reason":"kernel without VXLAN"`, "h1: not ready: overlay-incomplete rule: kernel without VXLAN"},
		{"an outage is explained", broken, "", "\nh1: overlay-incomplete (outage): rule\n  found:   kernel without VXLAN\n  meaning: " +
			problem.OverlayIncomplete.Meaning + "\n  remedy:  " + problem.OverlayIncomplete.Remedy + "\n", "h1: not ready"},
		{"ready in spite of a problem", degraded, "", "h1    yes    198.18.0.11  100.64.1.0/24  1 alive, h3 suspended  3        v1\n\nh1: port-conflict (degraded): 80/tcp\n", ""},
		{"starting", starting, "", "h1    no ", "h1: not ready yet"},
		{"no linker", self, "--socket /nowhere.sock", "", "no linker runs here"},
		{"unknown format", self, "--format xml", "", "neither table nor json"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cmd := newLinkerStatusCommand()
			var out bytes.Buffer
			cmd.SetOut(&out)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{"--socket", (&apitest.Linker{Self: c.self}).Serve(t)}, strings.Fields(c.args)...))
			err := cmd.Execute()
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if !strings.Contains(out.String(), c.out) {
				t.Errorf("printed %q, want %q", out.String(), c.out)
			}
		})
	}
}
