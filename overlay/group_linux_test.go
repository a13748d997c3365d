package overlay

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// Members of a network reach each other, and a link reaches the ports of its target alone. A receiver may
// be in several networks and the target of several links.
func TestGroupsPermitTheirMembers(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	a, b := l.hosts[0], l.hosts[1]
	a.set()
	b.set()
	web, spy, db, cache := a.endpoint(5), a.endpoint(6), b.endpoint(5), b.endpoint(6)
	nweb, nspy, ndb, ncache := a.run(web), a.run(spy), b.run(db), b.run(cache)
	for _, box := range []string{":80", ":81"} {
		listen(t, ndb, box)
		listen(t, ncache, box)
	}
	both := func(all ...Endpoint) (out []netip.Addr) {
		for _, e := range all {
			out = append(out, e.Addr4, e.Addr6)
		}
		return out
	}
	a.set()
	front := Group{Name: "network front", From: both(web, cache), To: both(cache)}
	back := Group{Name: "network back", From: both(db, cache), To: both(db, cache)}
	link := Group{Name: "link to db", From: both(spy), To: both(db), Ports: []HostPort{{80, "tcp"}}}
	b.config.Groups = []Group{front, back, link}
	b.set()
	check := func() {
		t.Helper()
		for i, to := range both(cache) {
			reaches(t, nweb, "tcp", at(to, 80), both(web)[i].String())
			reaches(t, ndb, "udp", at(to, 81), both(db)[i].String())
			cannotReach(t, nspy, "tcp", at(to, 80))
		}
		for i, to := range both(db) {
			cannotReach(t, nweb, "tcp", at(to, 80))
			reaches(t, nspy, "tcp", at(to, 80), both(spy)[i].String())
			cannotReach(t, nspy, "tcp", at(to, 81))
			cannotReach(t, nspy, "udp", at(to, 80))
		}
	}
	check()
	b.restart() // the whole table, where only elements were written before
	b.set()
	runIn(t, b.ns, "nft flush ruleset")
	b.set()
	check()
	changes := b.overlay.table.foreignChanges
	link.From = both(spy, web)
	b.config.Groups = []Group{link, back, front} // one member more
	b.set()
	reaches(t, nweb, "tcp", at(db.Addr6, 80), web.Addr6.String())
	b.config.Groups = []Group{back, front}
	b.set()
	cannotReach(t, nspy, "tcp", at(db.Addr4, 80))
	if b.overlay.table.foreignChanges != changes {
		t.Error("a change of groups replaced the table, want changes of elements alone")
	}
}

// Classes whose numbers would be the same get different ones.
func TestClassNumbersDiffer(t *testing.T) {
	taken := map[uint32]bool{}
	first := classNumber("a", taken)
	if again := classNumber("a", taken); again == first || again == 0 || first == 0 {
		t.Errorf("two classes have the numbers %d and %d, want two numbers that are not 0", first, again)
	}
}

// Half of the members of a network are on this host. One container more starts.
func BenchmarkOneContainerMore(b *testing.B) {
	for _, members := range []int{0, 10, 100, 500} {
		b.Run(fmt.Sprintf("%d-pairs", members*members), func(b *testing.B) {
			h := newLab(b, 1).hosts[0]
			h.config.Self.Block4, h.config.Self.Overlay4 = netip.MustParsePrefix("100.64.0.0/16"), netip.MustParseAddr("100.64.0.1")
			h.config.Groups = []Group{network(members)}
			h.set()
			more := h.config
			more.Groups = []Group{network(members + 1)}
			var spent time.Duration
			n := 0
			for b.Loop() {
				began := time.Now()
				must(b, h.overlay.Set(b.Context(), more))
				spent += time.Since(began)
				n++
				must(b, h.overlay.Set(b.Context(), h.config))
			}
			b.ReportMetric(float64(spent.Microseconds())/1000/float64(n), "ms/container")
		})
	}
}

// network returns a network with members here, and as many on other hosts.
func network(members int) Group {
	g := Group{Name: "network shop_default"}
	for i := range members {
		for _, far := range []byte{64, 65} {
			a4 := netip.AddrFrom4([4]byte{100, far, byte(1 + i/200), byte(i%200 + 2)})
			a6 := netip.MustParseAddr(fmt.Sprintf("fd42:1:2:0:%x::%x", far, i+2))
			g.From = append(g.From, a4, a6)
			if far == 64 {
				g.To = append(g.To, a4, a6)
			}
		}
	}
	return g
}
