package overlay

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/overlay/firewall"
)

// backends are firewalls that drop all packets by default, as hosts have them: rules that set one up,
// one that empties it but keeps dropping, and one that lists it.
var backends = map[string]struct{ drop, flush, list string }{
	"iptables on nftables":    {xtablesDrop("-nft"), xtablesFlush("-nft"), "iptables-nft -S; ip6tables-nft -S"},
	"legacy iptables":         {xtablesDrop("-legacy"), xtablesFlush("-legacy"), "iptables-legacy -S; ip6tables-legacy -S"},
	"nftables, by its policy": {nftDrop("policy drop", ""), nftDrop("policy drop", ""), "nft list table inet filter"},
	"nftables, by a rule":     {nftDrop("policy accept", "reject"), nftDrop("policy accept", "counter drop"), "nft list table inet filter"},
}

func xtablesDrop(kind string) string {
	var b strings.Builder
	for _, tool := range []string{"iptables", "ip6tables"} {
		for _, chain := range []string{"INPUT", "FORWARD", "OUTPUT"} {
			fmt.Fprintf(&b, "%s%s -P %s DROP\n", tool, kind, chain)
		}
		fmt.Fprintf(&b, "%[1]s%[2]s -A INPUT -i lo -j ACCEPT; %[1]s%[2]s -A OUTPUT -o lo -j ACCEPT\n", tool, kind)
		fmt.Fprintf(&b, "%s%s -A OUTPUT -o eth0 -j ACCEPT\n", tool, kind)
	}
	return b.String()
}

func xtablesFlush(kind string) string {
	return fmt.Sprintf("iptables%[1]s -F; ip6tables%[1]s -F; iptables%[1]s -P FORWARD DROP; iptables%[1]s -A OUTPUT -o eth0 -j ACCEPT", kind)
}

func nftDrop(policy, rule string) string {
	var b strings.Builder
	b.WriteString("nft -f - <<x\ntable inet filter\ndelete table inet filter\ntable inet filter {\n")
	for _, hook := range []string{"input", "forward", "output"} {
		fmt.Fprintf(&b, "chain %s { type filter hook %[1]s priority 0; %s;\niifname lo accept\noifname { lo, eth0 } meta l4proto != udp accept\n%s\n}\n", hook, policy, rule)
	}
	b.WriteString("}\nx\n")
	return b.String()
}

// firewallLab has web on host a and db on host b, and on host a a DNS server and a service that
// is nobody's business.
type firewallLab struct {
	guardLab
	l *lab
}

func newFirewallLab(t *testing.T) firewallLab {
	l := newLab(t, 2)
	g := guardLab{a: l.hosts[0], b: l.hosts[1]}
	g.web, g.db, g.stranger = g.a.endpoint(5), g.b.endpoint(5), g.b.endpoint(6)
	for _, h := range l.hosts {
		h.config.Blocked = []HostPort{{2375, "tcp"}}
		h.config.Peering = []HostPort{{7980, "tcp"}, {7980, "udp"}}
		h.set()
		listen(t, h.ns, at(Gateway4, 53))
		for _, port := range []string{":2375", ":7980", ":9000"} {
			listen(t, h.ns, port)
		}
	}
	g.a.run(g.web)
	g.b.run(g.stranger)
	listen(t, g.b.run(g.db), ":80")
	listen(t, l.outside, ":80")
	g.b.config.Groups = []Group{allow(g.web.Addr4, g.db.Addr4), allow(g.web.Addr6, g.db.Addr6)}
	g.b.config.Publish = []Publish{{HostPort: 8001, Proto: "tcp", To: g.db.Addr4, Port: 80}}
	return firewallLab{g, l}
}

// works checks what has to pass the firewall of each host.
func (f firewallLab) works(t *testing.T) {
	t.Helper()
	web, db, stranger := f.box(f.web), f.box(f.db), f.box(f.stranger)
	for _, proto := range []string{"udp", "tcp"} {
		reaches(t, web, proto, at(Gateway4, 53), f.web.Addr4.String())
		reaches(t, stranger, proto, at(Gateway4, 53), f.stranger.Addr4.String())
		reaches(t, web, proto, at(f.db.Addr4, 80), f.web.Addr4.String())
		reaches(t, web, proto, at(f.db.Addr6, 80), f.web.Addr6.String())
		reaches(t, f.a.ns, proto, at(f.b.Underlay, 7980), f.a.Underlay.String())
		reaches(t, f.a.ns, proto, at(f.db.Addr4, 80), f.a.Overlay4.String())
		reaches(t, f.b.ns, proto, at(f.db.Addr6, 80), f.b.Overlay6.String())
	}
	reaches(t, db, "tcp", at(outsideAddr, 80), f.b.Underlay.String())
	reaches(t, f.l.outside, "tcp", at(f.b.Underlay, 8001), outsideAddr.String())
}

// drops checks that the firewall still drops what is none of the overlay's business, and the policy
// what it forbids.
func (f firewallLab) drops(t *testing.T) {
	t.Helper()
	for target, from := range f.forbidden() {
		cannotReach(t, from, "tcp", target)
	}
	cannotReach(t, f.box(f.stranger), "tcp", at(f.b.Underlay, 9000)) // the host's own service
	cannotReach(t, f.box(f.stranger), "tcp", at(f.b.Overlay4, 9000))
	cannotReach(t, f.box(f.web), "tcp", at(f.b.Overlay6, 9000))
	cannotReach(t, f.a.ns, "tcp", at(f.b.Underlay, 9000))
	cannotReach(t, f.a.ns, "tcp", at(f.b.Overlay4, 9000)) // a packet inherits the mark of the VXLAN around it
	cannotReach(t, f.l.outside, "tcp", at(f.b.Underlay, 9000))
	cannotReach(t, f.l.outside, "tcp", at(f.b.Underlay, 7980)) // no member
	cannotReach(t, f.l.outside, "udp", at(f.b.Underlay, 7980))
}

// A host's firewall drops everything by default. The overlay works, and nothing else is opened.
func TestTheOverlayPassesTheHostsFirewall(t *testing.T) {
	t.Parallel()
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFirewallLab(t)
			for _, h := range f.l.hosts {
				runIn(t, h.ns, backend.drop)
				h.set()
			}
			f.works(t)
			f.drops(t)
			before := string(runIn(t, f.a.ns, backend.list))
			f.a.restart() // a new linker finds its rules, and repeats none
			f.a.set()
			if after := string(runIn(t, f.a.ns, backend.list)); after != before {
				t.Errorf("a second Set changed the firewall from:\n%s\nto:\n%s", before, after)
			}
			must(t, f.a.overlay.Clear(t.Context()))
			if rules := string(runIn(t, f.a.ns, backend.list)); strings.Contains(rules, "tombolo") {
				t.Errorf("Clear left rules of ours:\n%s", rules)
			}
		})
	}
}

// Another program flushes the firewall, and drops everything from then on: the overlay is back
// within a second, and meanwhile nothing forbidden passes.
func TestTheOverlayPassesAFlushedFirewall(t *testing.T) {
	t.Parallel()
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFirewallLab(t)
			for _, h := range f.l.hosts {
				runIn(t, h.ns, backend.drop)
				h.set()
				background(t, h)
			}
			f.works(t)
			ctx, cancel := context.WithCancel(t.Context())
			var attacks sync.WaitGroup
			for target, from := range f.forbidden() {
				attacks.Go(func() {
					for ctx.Err() == nil {
						if got, err := ask(t, from, "tcp", target, 50*time.Millisecond); err == nil {
							t.Errorf("%s answered a stranger as %s", target, got)
						}
					}
				})
			}
			for range 3 {
				runIn(t, f.b.ns, backend.flush)
				took := f.outage(t)
				t.Logf("the overlay was back after %v", took)
				if took > 5*time.Second {
					t.Errorf("the overlay was back %v after the firewall was flushed, want less than 1 s, or 5 s on a busy machine", took)
				}
			}
			cancel()
			attacks.Wait()
			f.works(t)
			f.drops(t)
		})
	}
}

// outage returns how long web does not reach db, and a client outside the published port, from now on.
func (f firewallLab) outage(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	for time.Since(began) < ample {
		_, forwarded := ask(t, f.box(f.web), "tcp", at(f.db.Addr4, 80), 50*time.Millisecond)
		_, forwarded6 := ask(t, f.box(f.web), "udp", at(f.db.Addr6, 80), 50*time.Millisecond)
		_, published := ask(t, f.l.outside, "tcp", at(f.b.Underlay, 8001), 50*time.Millisecond)
		_, name := ask(t, f.box(f.stranger), "udp", at(Gateway4, 53), 50*time.Millisecond)
		if forwarded == nil && forwarded6 == nil && published == nil && name == nil {
			break
		}
	}
	return time.Since(began)
}

// background has the host's overlay run until the test ends.
func background(t *testing.T, h *labHost) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // so that a failed test leaves no goroutine
	go func() { ended <- h.overlay.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the overlay of %s ended: %v", h.Name, err)
		}
	})
}

// Without our table no packet has the mark, so our rules in the host's firewall accept nothing.
func TestOurRulesOpenNothingWithoutThePolicy(t *testing.T) {
	t.Parallel()
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFirewallLab(t)
			for _, h := range f.l.hosts {
				runIn(t, h.ns, backend.drop)
				h.set()
				runIn(t, h.ns, "nft delete table inet tombolo")
			}
			f.drops(t)
			cannotReach(t, f.box(f.web), "udp", at(Gateway4, 53))
			cannotReach(t, f.a.ns, "tcp", at(f.b.Underlay, 7980))
		})
	}
}

// A Finding names each firewall that the overlay cannot change, and the remedy.
func TestFirewallsThatCannotBeChangedAreNamed(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	runIn(t, h.ns, "nft -f - <<x\ntable inet early { chain in { type filter hook input priority -10; policy accept; tcp dport 22 accept\ncounter drop\n}; }\nx")
	h.set()
	found := h.overlay.Firewall()
	want := firewall.Finding{
		Firewall: "nftables", Table: "inet early", Chain: "in", Rule: "counter drop",
		Drops: "names for containers, and packets of the other hosts", Reason: "its priority -10 puts it before the overlay's policy",
		Remedy: "give the chain a priority above -1",
	}
	if len(found) != 1 || found[0] != want {
		t.Errorf("the findings are %+v, want %+v", found, want)
	}
}

// Repairs are counted by kind. Changes that concern no rule of ours are not, and neither is a rule
// that another program inserts before ours, as Docker does with each network: ours only move. A
// chain that drops packets from now on, as after Docker's start, has lost no rule either.
func TestRepairsOfFirewallsAreCounted(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	runIn(t, h.ns, xtablesDrop("-nft"))
	h.set()
	var undone []Repair
	h.overlay.undone = func(done []Repair) { undone = append(undone, done...) }
	for _, damage := range []string{"iptables-nft -F INPUT", "nft flush chain inet tombolo input", "nft add element inet tombolo blocked '{ tcp . 99 }'", "iptables-nft -N others; nft add table inet other", "iptables-nft -I INPUT -s 192.0.2.1 -j DROP", "iptables-nft -P FORWARD ACCEPT", "iptables-nft -P FORWARD DROP"} {
		runIn(t, h.ns, damage)
		h.overlay.repair(t.Context(), false)
		h.overlay.repair(t.Context(), false) // the repair itself changed nftables
	}
	want := []Repair{{KindFirewall, "iptables-nft INPUT"}, {KindPolicy, "inet tombolo"}, {KindPolicy, "inet tombolo"}}
	if diff := cmp.Diff(want, undone); diff != "" {
		t.Errorf("repairs (-want +got):\n%s", diff)
	}
	counts, err := h.overlay.Counters()
	must(t, err)
	if counts["repaired_firewall"] != 1 || counts["repaired_policy"] != 2 {
		t.Errorf("the counters are %v, want 1 repair of the firewall and 2 of the policy", counts)
	}
}
