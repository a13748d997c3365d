package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tombolo/cmd/lab"
	"tombolo/linker/api"
	"tombolo/linker/problem"
)

// cisRules drop incoming packets by default, and have the ports of the README open.
const cisRules = `for t in iptables%[1]s ip6tables%[1]s; do
$t -A INPUT -i lo -j ACCEPT
$t -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
for p in tcp udp; do $t -A INPUT -p $p --dport 7980 -j ACCEPT; done
$t -A INPUT -p udp --dport 8480 -j ACCEPT
$t -P INPUT DROP
done`

const nftRules = `nft -f - <<x
table inet site {
	chain input {
		type filter hook input priority 0; policy drop;
		iifname lo accept
		ct state established,related accept
		meta l4proto { tcp, udp } th dport 7980 accept
		udp dport 8480 accept
	}
}
x`

// A host's firewall drops incoming packets, with the ports of the README open. Names work in all of
// its containers. The host's own services stay closed to them.
func TestNamesWorkBehindAFirewall(t *testing.T) {
	h := testLab.Hosts[0]
	for _, firewall := range []struct{ name, rules, undo string }{
		{"iptables on nftables", fmt.Sprintf(cisRules, "-nft"), "for t in iptables-nft ip6tables-nft; do $t -P INPUT ACCEPT; $t -F INPUT; done"},
		{"legacy iptables", fmt.Sprintf(cisRules, "-legacy"), "for t in iptables-legacy ip6tables-legacy; do $t -P INPUT ACCEPT; $t -F INPUT; done"},
		{"nftables", nftRules, "nft delete table inet site"},
	} {
		t.Run(firewall.name, func(t *testing.T) {
			before := start(t, 0, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
			start(t, 1, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
			before.reaches(t, "db:5432")
			dockerContainer(t, h, "firewall-service", []string{"--network", "host"}, "serve", "9000")
			before.reaches(t, h.Underlay.String()+":9000") // what the firewall is for
			t.Cleanup(func() { inHost(t, h, "sh", "-c", firewall.undo) })
			inHost(t, h, "sh", "-c", firewall.rules)
			after := start(t, 0, spec{app: "shop", service: "api", args: []string{"serve", "80"}})
			for _, c := range []container{before, after} {
				c.reaches(t, "db:5432")
				c.refuses(t, h.Underlay.String()+":9000")
				c.isRefused(t, h.Underlay.String()+":7980")
			}
			if problems := status(t, h).Problems; strings.Contains(fmt.Sprint(problems), "firewall") {
				t.Errorf("the linker names problems that it has mended: %v", problems)
			}
		})
	}
}

// Another program flushes iptables, and forwarded packets are dropped from then on, with Docker's chain
// DOCKER-USER and without. The overlay is back within a second, and a stranger gets nothing meanwhile.
func TestForwardingIsBackWithinASecond(t *testing.T) {
	h := testLab.Hosts[0]
	db := start(t, 0, spec{app: "shop", service: "db", args: []string{"serve", "5432"}})
	web := start(t, 1, spec{app: "shop", service: "web", args: []string{"serve", "80"}})
	web.reaches(t, "db:5432")
	holder := start(t, 2, spec{app: "shop", service: "holder", args: []string{"hold", "db:5432"}})
	within(t, func(context.Context) error { return exchanges(t, holder) })
	stranger := start(t, 1, spec{app: "stranger", service: "tool", args: []string{"serve", "80"}})
	stranger.reaches(t, "tool:80")
	keepDockersRules(t)
	for _, damage := range []string{
		"iptables -F; iptables -P FORWARD DROP",
		"for t in iptables ip6tables; do $t -F; $t -X; $t -P FORWARD DROP; done", // no DOCKER-USER
		"for t in iptables-legacy ip6tables-legacy; do $t -F; $t -P FORWARD DROP; done",
	} {
		target := db.address(t) + ":5432"
		attacked, paused := make(chan string, 1), make(chan string, 1) // so that the goroutines never wait for the receiver
		go func() { out, _ := stranger.exec(t.Context(), "flood", target, "6s"); attacked <- out }()
		go func() { out, _ := web.exec(t.Context(), "pause", target, "6s"); paused <- out }()
		time.Sleep(2 * time.Second) // until both dial
		inHost(t, h, "sh", "-c", damage)
		if out := <-attacked; out != "0 connections" {
			t.Errorf("%s: a stranger dialled db meanwhile: %q, want 0 connections", damage, out)
		}
		text := <-paused
		pause, err := time.ParseDuration(text)
		t.Logf("%s: connections were back after %s", damage, text)
		if err != nil || pause > 3*time.Second {
			t.Errorf("%s: connections were back after %q, want less than 1 s, or 3 s on a busy machine", damage, text)
		}
		within(t, func(context.Context) error { return exchanges(t, holder) })
	}
	t.Cleanup(func() {
		inHost(t, h, "sh", "-c", "for t in iptables-legacy ip6tables-legacy; do $t -P FORWARD ACCEPT; $t -F; done")
	})
	if n := status(t, h).Counters["overlay.repaired_firewall"]; n == 0 {
		t.Error("the linker counts no repair of the firewall")
	}
}

// A firewall that drops packets before the overlay's policy sees them is named.
func TestAFirewallThatCannotBeChangedIsNamed(t *testing.T) {
	h := testLab.Hosts[2]
	t.Cleanup(func() { inHost(t, h, "nft", "delete", "table", "inet", "early") })
	inHost(t, h, "nft", "add table inet early { chain in { type filter hook input priority -10; policy accept; tcp dport 9999 drop; iifname tb0 drop; }; }")
	inHost(t, h, "nft", "add rule inet early in iifname lo accept")
	inHost(t, h, "nft", "add rule inet early in ct state established,related accept")
	inHost(t, h, "nft", "add rule inet early in iifname eth0 accept")
	inHost(t, h, "nft", "add rule inet early in counter drop")
	within(t, func(context.Context) error {
		for _, p := range status(t, h).Problems {
			if p.Name == problem.FirewallDrops.Name && strings.Contains(p.Subject, "inet early") && strings.Contains(p.Reason, "counter drop") && strings.Contains(p.Remedy, "priority above") {
				return nil
			}
		}
		return fmt.Errorf("the problems are %v, want the table, the rule and the remedy", status(t, h).Problems)
	})
}

func status(t *testing.T, h lab.Host) api.Status {
	t.Helper()
	client := api.NewClient(h.LinkerSocket())
	defer client.Close()
	s, err := client.Status(t.Context())
	if err != nil {
		t.Fatalf("status of %s: %v", h.Name, err)
	}
	return s
}
