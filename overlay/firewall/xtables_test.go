package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var testConfig = Config{
	Mark: 0x2000, Priority: -1, Table: "tombolo", Veths: "tb", Device: "tombolo0", Tunnel: 8480,
	Peering: []Port{{7980, "tcp"}}, Pool4: netip.MustParsePrefix("100.64.0.0/10"), Pool6: netip.MustParsePrefix("fd42::/48"),
}

// after returns a chain's rules after a repair, without the parts that are alike in all rules of ours.
func after(listing, chain string) []string {
	var out []string
	for line := range strings.Lines(apply(testConfig, listing)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "-A "+chain+" "); ok {
			out = append(out, strings.ReplaceAll(rest, " -m mark --mark 0x2000/0x2000 -m comment --comment tombolo -j ACCEPT", " ours"))
		}
	}
	return out
}

// apply does what iptables-restore does with the commands that repair a listing.
func apply(c Config, listing string) string {
	script, _ := c.parseXtables(listing, 4).repair(c, false)
	lines := slices.Collect(strings.Lines(listing))
	for command := range strings.Lines(script) {
		words := strings.SplitN(strings.TrimSpace(command), " ", 3)
		head := "-A " + words[1] + " "
		if words[0] == "-D" {
			i := slices.Index(lines, head+words[2]+"\n")
			lines = slices.Delete(lines, i, i+1)
			continue
		}
		number, text, _ := strings.Cut(words[2], " ")
		at := len(lines)
		for n, i := 0, 0; i < len(lines); i++ {
			if strings.HasPrefix(lines[i], head) {
				if n++; fmt.Sprint(n) == number {
					at = i
				}
			}
		}
		lines = slices.Insert(lines, at, head+text+"\n")
	}
	return strings.Join(lines, "")
}

func TestRulesHaveTheirPlaces(t *testing.T) {
	inputRules := []string{"-i tb+ ours", "-i tombolo0 ours", "-p udp -m udp --dport 8480 ours", "-p tcp -m tcp --dport 7980 ours", "-p tcp -m tcp --sport 7980 ours"}
	inside := []string{"-i tb+ -o tb+ ours", "-i tb+ -o tombolo0 ours", "-i tombolo0 -o tb+ ours"}
	outside := []string{"-i tb+ ours", "-o tb+ ours", "-i tombolo0 ours", "-o tombolo0 ours"}
	const docker = "-P FORWARD DROP\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n"
	for _, test := range []struct {
		name, listing, chain string
		want                 []string
	}{
		{"a chain that drops nothing has none", "-P INPUT ACCEPT\n-A INPUT -i eth0 -j ACCEPT\n", "INPUT", []string{"-i eth0 -j ACCEPT"}},
		{"a policy drops", "-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n", "INPUT", append(inputRules, "-i lo -j ACCEPT")},
		{"a rule drops", "-P INPUT ACCEPT\n-A INPUT -j REJECT --reject-with icmp-port-unreachable\n", "INPUT", append(inputRules, "-j REJECT --reject-with icmp-port-unreachable")},
		{"a chain of Tailscale drops the pool", "-P INPUT ACCEPT\n-N ts-input\n-A INPUT -j ts-input\n-A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP\n", "INPUT", append(inputRules, "-j ts-input")},
		{"rules of other programs that drop what the administrator names hold for the outside",
			"-P FORWARD DROP\n-A FORWARD -i eth0 -s 198.51.100.7/32 -j DROP\n", "FORWARD",
			slices.Concat(inside, []string{"-i eth0 -s 198.51.100.7/32 -j DROP"}, outside)},
		{"rules that refuse the rest come last", "-P FORWARD ACCEPT\n-N last\n-A FORWARD -s 1.2.3.4/32 -j DROP\n-A FORWARD -m comment --comment \"x\" -j last\n-A last -j LOG\n-A last -j REJECT\n", "FORWARD",
			slices.Concat(inside, []string{"-s 1.2.3.4/32 -j DROP"}, outside, []string{"-m comment --comment \"x\" -j last"})},
		{"the administrator's rules in DOCKER-USER hold", docker + "-A DOCKER-USER -i eth0 -s 1.2.3.4/32 -j DROP\n-A DOCKER-USER -j RETURN\n", "DOCKER-USER",
			slices.Concat(inside, []string{"-i eth0 -s 1.2.3.4/32 -j DROP"}, outside, []string{"-j RETURN"})},
		{"rules of an earlier version are replaced", docker + "-A DOCKER-USER -i tb+ -j ACCEPT\n-A DOCKER-USER -o tombolo0 -j ACCEPT\n", "DOCKER-USER", slices.Concat(inside, outside)},
		{"chains that lead to each other end the search", "-P FORWARD ACCEPT\n-N a\n-N b\n-A FORWARD -j a\n-A a -j b\n-A b -j a\n", "FORWARD", []string{"-j a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, after(test.listing, test.chain)); diff != "" {
				t.Errorf("rules of %s (-want +got):\n%s", test.chain, diff)
			}
		})
	}
}

// After any change of a chain by other programs, one repair puts all our rules into their places,
// and a second repair changes nothing.
func TestOneRepairIsEnough(t *testing.T) {
	others := []string{"-j ACCEPT", "-j DROP", "-j RETURN", "-i eth0 -j DROP", "-j sub", "-s 1.2.3.4/32 -j sub", "-m limit --limit 3/min -j LOG"}
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString("-P INPUT " + rapid.SampledFrom([]string{"ACCEPT", "DROP"}).Draw(t, "policy") + "\n-P FORWARD DROP\n-N DOCKER-USER\n-N sub\n")
		for _, chain := range []string{"INPUT", "FORWARD", "DOCKER-USER", "sub"} {
			ours := append(testConfig.obsolete(), (&xtables{chains: chains{chain: {drops: true}}, family: 4}).all(testConfig, chain)...)
			pool := slices.Concat(others, ours)
			if chain == "sub" {
				pool = others[:4]
			}
			for _, text := range rapid.SliceOfN(rapid.SampledFrom(pool), 0, 12).Draw(t, chain) {
				fmt.Fprintf(&b, "-A %s %s\n", chain, text)
			}
		}
		once := apply(testConfig, b.String())
		if script, _ := testConfig.parseXtables(once, 4).repair(testConfig, false); script != "" {
			t.Fatalf("after the repair of\n%s\nthere was\n%s\nand a second repair would do\n%s", &b, once, script)
		}
		x := testConfig.parseXtables(once, 4)
		first, late := x.wanted(testConfig, "INPUT")
		var have []string
		for _, r := range x.chains["INPUT"].rules {
			switch {
			case r.ours != "":
				have = append(have, r.ours)
			case len(have) < len(first) && len(have) > 0:
				t.Fatalf("%q stands among the rules of ours:\n%s", r.text, once)
			case len(have) == 0 && len(first) > 0 && x.chains.ruleMayDrop(r):
				t.Fatalf("%q stands before the rules of ours:\n%s", r.text, once)
			}
		}
		if diff := cmp.Diff(slices.Concat(first, late), have); diff != "" {
			t.Fatalf("rules of ours in INPUT (-want +got):\n%s", diff)
		}
	})
}

// Rules of many chains that lead to each other have very many ways through them.
func TestManyWaysTakeNoTime(t *testing.T) {
	const n = 40
	var b strings.Builder
	b.WriteString("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-A INPUT -j c0\n")
	for i := range n {
		fmt.Fprintf(&b, "-N c%d\n", i)
	}
	for i := range n {
		for j := range n {
			fmt.Fprintf(&b, "-A c%d -j c%d\n", i, j)
		}
	}
	if script, _ := testConfig.parseXtables(b.String(), 4).repair(testConfig, false); script != "" {
		t.Errorf("chains that drop nothing get rules:\n%s", script)
	}
}

// all returns the rules of ours for a chain.
func (x *xtables) all(c Config, chain string) []string {
	first, late := x.wanted(c, chain)
	return slices.Concat(first, late)
}
