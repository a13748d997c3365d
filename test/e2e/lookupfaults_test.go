package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tombolo/linker/problem"
)

// An app runs on a host whose containers cannot look names up. `up` and `ps` name the rule that is to blame.
func TestUpNamesAHostWithoutNames(t *testing.T) {
	h := testLab.Hosts[0]
	file := compose(t, "nameless", `
  web: {image: %IMAGE%, command: [serve, "80"], deploy: {replicas: 3}}
`)
	up(t, file)
	inHost(t, h, "nft", "table inet site { chain early { type filter hook prerouting priority -350; udp dport 53 drop; }; }")
	t.Cleanup(func() { inHost(t, h, "nft", "delete table inet site") })
	names(t, h, problem.NamesUnanswered.Name)
	for _, command := range []string{"up", "ps"} {
		within(t, func(ctx context.Context) error {
			r, err := tombolo.Run(ctx, "-f", file, command)
			if err != nil {
				return err
			}
			text := r.Stdout + r.Stderr
			if r.Code != 0 || !strings.Contains(text, "warning: host h1 is not ready: names-unanswered") || !strings.Contains(text, "udp dport 53 drop") {
				return fmt.Errorf("%s ends with code %d and says %s; want a warning that names the rule", command, r.Code, text)
			}
			return nil
		})
	}
}

// Rules of other programs drop the queries of containers, or the answers, where none of the linker's
// rules can stand before them. The linker finds out by asking from inside of a container, and names
// the rule. The host is not ready meanwhile.
func TestRulesThatDropLookUpsAreNamed(t *testing.T) {
	h := testLab.Hosts[0]
	web := start(t, 0, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "web:80")
	for _, rule := range []struct {
		name, add, remove string
		named             []string // words of the reason
	}{
		{
			"iptables on nftables, before connection tracking", "iptables-nft -t raw -I PREROUTING -p udp --dport 53 -j DROP", "iptables-nft -t raw -D PREROUTING -p udp --dport 53 -j DROP",
			[]string{"udp dport 53", "drop", "table ip raw"},
		},
		{
			"legacy iptables", "iptables-legacy -t mangle -I PREROUTING -p udp --dport 53 -j DROP", "iptables-legacy -t mangle -D PREROUTING -p udp --dport 53 -j DROP",
			[]string{"--dport 53 -j DROP", "table mangle"},
		},
		{
			"nftables, the whole pool", "nft 'table inet site { chain early { type filter hook prerouting priority -350; ip saddr 100.64.0.0/10 drop; }; }'", "nft delete table inet site",
			[]string{"ip saddr 100.64.0.0/10 drop", "chain early", "table inet site"},
		},
		{
			"nftables, the answers", "nft 'table inet site { chain late { type filter hook output priority -200; policy accept; ip saddr 169.254.1.1 jump no; }; chain no { udp sport 53 drop; }; }'", "nft delete table inet site",
			[]string{"udp sport 53 drop", "chain no", "table inet site"},
		},
	} {
		t.Run(rule.name, func(t *testing.T) {
			undone := false
			undo := func() {
				if !undone {
					undone = true
					inHost(t, h, "sh", "-c", rule.remove)
				}
			}
			t.Cleanup(undo)
			inHost(t, h, "sh", "-c", rule.add)
			if names(t, h, append([]string{problem.NamesUnanswered.Name, web.name}, rule.named...)...) {
				t.Errorf("%s is ready, although its containers get no answers", h.Name)
			}
			diagnoses(t, h.Name, problem.NamesUnanswered, rule.named[0])
			undo()
			within(t, func(ctx context.Context) error {
				s, problems, err := linkerStatus(ctx, h)
				if err == nil && !s.Ready {
					err = fmt.Errorf("%s is not ready after the rule was removed: %s", h.Name, problems)
				}
				return err
			})
		})
	}
}
