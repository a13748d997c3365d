package gossip_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"tombolo/linker/gossip"
)

func TestDeadHostIsFoundInTime(t *testing.T) {
	bubble(t, 5, func(t *testing.T, c *cluster) {
		changes, cancel := c.nodes["h1"].Watch()
		defer cancel()
		<-changes // a new watcher is told to look
		c.nodes["h4"].stop()
		delete(c.nodes, "h4")
		want := alive(5)
		want["h4"] = false
		took := c.within(secs(10), "h4 dead", sees(want))
		t.Logf("found dead after %v", took)
		if took > 6*time.Second {
			t.Errorf("h4 was found dead after %v, want at most 6s", took)
		}
		select {
		case <-changes:
		default:
			t.Error("a watcher of h1 was not told that h4 died")
		}
		for _, m := range c.nodes["h1"].Members() {
			if m.Alive == (m.Name == "h4") {
				t.Errorf("h1 lists %+v, want only h4 dead", m)
			}
		}
	})
}

// Both sides of a split change rows, and the broadcast of one row is lost. After the
// split all members get the same rows without help, although memberlist has long
// forgotten the members that it thought dead.
func TestSplitHeals(t *testing.T) {
	for _, length := range []time.Duration{secs(10), 10 * time.Minute} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			bubble(t, 5, func(t *testing.T, c *cluster) {
				c.net.Split(addr(4), addr(5))
				time.Sleep(length) // fake time
				c.within(secs(1), "split", func(n *node) bool {
					away := n.name == "h4" || n.name == "h5"
					for name, alive := range n.states() {
						if other := name == "h4" || name == "h5"; alive != (away == other) {
							return false
						}
					}
					return true
				})
				for _, name := range []string{"h1", "h4"} {
					n := c.nodes[name]
					for i := range 100 {
						key := fmt.Sprint(name, "-", i)
						n.Broadcast(key, n.table.Put(key, "1"))
					}
				}
				c.nodes["h5"].table.Put("lost", "1")
				time.Sleep(secs(10))
				c.net.Split()
				took := c.within(secs(20), "healed", func(n *node) bool {
					return len(n.table.Rows()) == 201 && sees(alive(5))(n)
				})
				t.Logf("healed after %v", took)
			})
		})
	}
}

func TestRestartWithEmptyDiskGetsEverything(t *testing.T) {
	bubble(t, 5, func(t *testing.T, c *cluster) {
		for i := range 50 {
			n := c.nodes[nameOf(i%5+1)]
			key := fmt.Sprint("k", i)
			n.Broadcast(key, n.table.Put(key, "1"))
		}
		c.within(secs(1), "50 rows", func(n *node) bool { return len(n.table.Rows()) == 50 })
		for _, pause := range []time.Duration{0, secs(20)} {
			c.nodes["h2"].stop()
			time.Sleep(pause)
			c.start(2)
			took := c.within(secs(5), "50 rows again", func(n *node) bool { return len(n.table.Rows()) == 50 })
			t.Logf("pause %v: whole again after %v", pause, took)
			c.within(secs(5), "all alive", sees(alive(5)))
		}
	})
}

// The seed restarts and has stored no addresses, so the others have to find it.
func TestOthersFindTheSeedThatRestarts(t *testing.T) {
	bubble(t, 3, func(t *testing.T, c *cluster) {
		c.nodes["h2"].table.Put("k", "1")
		c.nodes["h1"].stop()
		delete(c.nodes, "h1")
		time.Sleep(10 * time.Minute)
		c.start(1)
		took := c.within(secs(20), "k", func(n *node) bool { return holds("k", "1")(n) && sees(alive(3))(n) })
		t.Logf("found after %v", took)
	})
}

func TestKnownMembersAreDialled(t *testing.T) {
	bubble(t, 2, func(_ *testing.T, c *cluster) {
		c.start(3, func(cfg *gossip.Config) {
			cfg.Seeds = nil
			cfg.Known = map[string]netip.AddrPort{"h2": netip.MustParseAddrPort(addr(2)), "h3": netip.MustParseAddrPort(addr(3))}
		})
		c.within(secs(2), "all alive", sees(alive(3)))
	})
}
