package firewall

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A table with a comment that looks like ours but is not, a verdict map, and a rule for the rest.
const table = `{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "inet", "name": "filter", "handle": 1}},
{"chain": {"family": "inet", "table": "filter", "name": "fwd", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}},
{"chain": {"family": "inet", "table": "filter", "name": "nat", "handle": 2, "type": "nat", "hook": "input", "prio": 100, "policy": "accept"}},
{"chain": {"family": "inet", "table": "tombolo", "name": "input", "handle": 2, "type": "filter", "hook": "input", "prio": -1, "policy": "accept"}},
{"rule": {"family": "inet", "table": "filter", "chain": "fwd", "handle": 3, "comment": "tombolo's friend", "expr": [{"counter": {"packets": 1, "bytes": 2}}, {"accept": null}]}},
{"rule": {"family": "inet", "table": "filter", "chain": "fwd", "handle": 4, "expr": [{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": "@jumps"}}]}},
{"rule": {"family": "inet", "table": "filter", "chain": "fwd", "handle": 5, "comment": "tombolo: iifname tb*", "expr": [{"accept": null}]}},
{"rule": {"family": "inet", "table": "filter", "chain": "fwd", "handle": 6, "expr": [{"log": null}, {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}]}}]}`

func TestCommandsForNft(t *testing.T) {
	bases, err := testConfig.parseChains([]byte(table))
	if err != nil || len(bases) != 1 {
		t.Fatalf("the base chains are %v (%v), want the one chain that filters and is not ours", bases, err)
	}
	cs, err := parseTable([]byte(table))
	if err != nil {
		t.Fatal(err)
	}
	cs["fwd"] = chain{rules: cs["fwd"].rules[1:]} // without the rule that accepts everything
	const mark = ` meta mark & 0x2000 == 0x2000 accept comment "tombolo: `
	want := "delete rule inet filter fwd handle 5\n"
	for _, r := range []struct{ at, text, comment string }{
		{"4", `iifname "tb*" oifname "tb*"`, "iifname tb* oifname tb*"}, {"4", `iifname "tb*" oifname "tombolo0"`, "iifname tb* oifname tombolo0"},
		{"4", `iifname "tombolo0" oifname "tb*"`, "iifname tombolo0 oifname tb*"},
		{"6", `iifname "tb*"`, "iifname tb*"}, {"6", `oifname "tb*"`, "oifname tb*"}, {"6", `iifname "tombolo0"`, "iifname tombolo0"}, {"6", `oifname "tombolo0"`, "oifname tombolo0"},
	} {
		want += "insert rule inet filter fwd handle " + r.at + " " + r.text + mark + r.comment + "\"\n"
	}
	add, before := testConfig.script(bases[0], cs, false)
	if diff := cmp.Diff(want, add); diff != "" || len(before.missing) != 6 {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	remove, _ := testConfig.script(bases[0], cs, true)
	if diff := cmp.Diff("delete rule inet filter fwd handle 5\n", remove); diff != "" {
		t.Errorf("commands that remove our rules (-want +got):\n%s", diff)
	}
}

// Only one family's pool is named in a table of one family.
func TestOutputRulesFitTheFamily(t *testing.T) {
	for family, want := range map[int]string{4: "100.64.0.0/10", 6: "fd42::/48", 0: "100.64.0.0/10 fd42::/48"} {
		var pools []string
		rules, _ := testConfig.accepts(output, family)
		for _, a := range rules {
			if a.to.IsValid() {
				pools = append(pools, a.to.String())
			}
		}
		if got := strings.Join(pools, " "); got != want {
			t.Errorf("family %d: the pools are %q, want %q", family, got, want)
		}
	}
}

func FuzzListings(f *testing.F) {
	f.Add(table)
	f.Add("-P INPUT DROP\n-A INPUT -j x\n-N x\n-A x -j INPUT\n")
	f.Fuzz(func(_ *testing.T, text string) {
		if bases, err := testConfig.parseChains([]byte(text)); err == nil {
			cs, err := parseTable([]byte(text))
			for _, at := range bases {
				if err == nil {
					testConfig.script(at, cs, false)
				}
			}
		}
		testConfig.parseXtables(text, 4).repair(testConfig, false)
	})
}
