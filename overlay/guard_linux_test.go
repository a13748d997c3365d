package overlay

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// guardLab has web on host a, and on host b db, which web may reach, and a stranger to both.
type guardLab struct {
	a, b              *labHost
	web, db, stranger Endpoint
}

func newGuardLab(t *testing.T) guardLab {
	l := newLab(t, 2)
	g := guardLab{a: l.hosts[0], b: l.hosts[1]}
	g.web, g.db, g.stranger = g.a.endpoint(5), g.b.endpoint(5), g.b.endpoint(6)
	g.a.set()
	g.b.set()
	g.a.run(g.web)
	g.b.run(g.stranger)
	listen(t, g.b.run(g.db), ":80")
	for _, h := range l.hosts {
		listen(t, h.ns, ":2375")
		h.config.Blocked = []HostPort{{2375, "tcp"}}
	}
	g.b.config.Groups = []Group{allow(g.web.Addr4, g.db.Addr4), allow(g.web.Addr6, g.db.Addr6)}
	g.a.set()
	g.b.set()
	return g
}

func (g guardLab) box(e Endpoint) netns.NsHandle {
	if box, ok := g.a.boxes[e.ID]; ok {
		return box
	}
	return g.b.boxes[e.ID]
}

// forbidden are connections that policy never allows.
func (g guardLab) forbidden() map[string]netns.NsHandle {
	stranger, web := g.box(g.stranger), g.box(g.web)
	return map[string]netns.NsHandle{
		at(g.db.Addr4, 80): stranger, at(g.db.Addr6, 80): stranger,
		at(g.b.Underlay, 2375): stranger, at(g.b.Overlay6, 2375): stranger,
		at(g.a.Underlay, 2375): web, at(g.a.Overlay4, 2375): web,
	}
}

// Another program flushes nftables while no linker runs. Nothing passes until a linker is back,
// and the connections that were established go on.
func TestPolicyFailsClosed(t *testing.T) {
	t.Parallel()
	g := newGuardLab(t)
	conn, err := dial(t, g.box(g.web), "tcp", at(g.db.Addr4, 80), ample)
	must(t, err)
	defer conn.Close()
	if _, err := echo(conn, ample); err != nil {
		t.Fatal(err)
	}
	for _, damage := range []string{"nft flush ruleset", "nft flush chain inet tombolo forward; nft flush chain inet tombolo from_host", "nft delete table inet tombolo"} {
		runIn(t, g.a.ns, damage)
		runIn(t, g.b.ns, damage)
		for target, from := range g.forbidden() {
			cannotReach(t, from, "tcp", target)
		}
		cannotReach(t, g.box(g.stranger), "udp", at(g.db.Addr4, 80))
		cannotReach(t, g.a.ns, "udp", at(g.db.Addr4, 80)) // the host too: b cannot tell who it is
		for _, h := range []*labHost{g.a, g.b} {
			h.restart() // a new linker
			h.set()
		}
		if _, err := echo(conn, ample); err != nil {
			t.Errorf("after %s and a new linker, an established connection failed: %v", damage, err)
		}
		reaches(t, g.box(g.web), "tcp", at(g.db.Addr6, 80), g.web.Addr6.String())
		reaches(t, g.a.ns, "udp", at(g.db.Addr4, 80), g.a.Overlay4.String())
	}
}

// Another program flushes nftables five times a second while linkers run. Not one forbidden
// connection gets through, and an established one goes on.
func TestNothingForbiddenPassesWhileOthersFlush(t *testing.T) {
	t.Parallel()
	g := newGuardLab(t)
	conn, err := dial(t, g.box(g.web), "tcp", at(g.db.Addr4, 80), ample)
	must(t, err)
	defer conn.Close()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, h := range []*labHost{g.a, g.b} {
		running.Go(func() {
			if err := h.overlay.Run(ctx); err != nil {
				t.Errorf("the overlay of %s ended: %v", h.Name, err)
			}
		})
	}
	attacks, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for target, from := range g.forbidden() {
		running.Go(func() {
			for attacks.Err() == nil {
				if got, err := ask(t, from, "tcp", target, 20*time.Millisecond); err == nil {
					t.Errorf("%s answered a stranger as %s", target, got)
				}
			}
		})
	}
	for attacks.Err() == nil {
		runIn(t, g.a.ns, "nft flush ruleset")
		runIn(t, g.b.ns, "nft flush ruleset")
		time.Sleep(200 * time.Millisecond) // the pace of the other program
	}
	began := time.Now()
	if _, err := echo(conn, ample); err != nil {
		t.Errorf("an established connection failed: %v", err)
	}
	t.Logf("an established connection went on %v after the last flush", time.Since(began))
}

// A connection that was asked for while the table was missing does not open when it is back:
// the host's kernel sends its answer again.
func TestConnectionsThatBeganWithoutTheTable(t *testing.T) {
	t.Parallel()
	g := newGuardLab(t)
	for _, h := range []*labHost{g.a, g.b} { // the other program tracks connections, as Docker's rules do
		runIn(t, h.ns, "nft -f - <<-x\nflush ruleset\ntable inet other { chain in { type filter hook input priority 0; ct state established accept; }; }\nx")
	}
	var attempts sync.WaitGroup
	for target, from := range g.forbidden() {
		attempts.Go(func() {
			if got, err := ask(t, from, "tcp", target, 3*time.Second); err == nil {
				t.Errorf("%s answered a client that it saw as %s", target, got)
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // the requests are on their way, and none is answered
	g.a.set()
	g.b.set()
	attempts.Wait()
}

// Devices that an earlier version made, or whose guard another program removed, get one.
func TestGuardsAreRestored(t *testing.T) {
	t.Parallel()
	g := newGuardLab(t)
	for _, name := range []string{Device, HostSide(g.db.ID)} {
		runIn(t, g.b.ns, "tc qdisc del dev "+name+" clsact")
	}
	runIn(t, g.b.ns, "nft flush ruleset")
	reaches(t, g.b.ns, "udp", at(g.db.Addr4, 80), g.b.Overlay4.String()) // as it was before there were guards
	g.b.restart()
	g.b.set()
	runIn(t, g.b.ns, "nft flush ruleset")
	cannotReach(t, g.b.ns, "udp", at(g.db.Addr4, 80))
	enter(t, g.b.ns, func() {
		for _, name := range []string{Device, HostSide(g.db.ID)} {
			link, err := netlink.LinkByName(name)
			must(t, err)
			if have, err := netlink.FilterList(link, netlink.HANDLE_MIN_EGRESS); err != nil || len(have) != 1 {
				t.Errorf("%s has the filters %v (%v), want one", name, have, err)
			}
		}
	})
}
