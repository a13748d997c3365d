package gossip_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/linker/gossip"
)

func TestBroadcastIsImmediate(t *testing.T) {
	bubble(t, 5, func(t *testing.T, c *cluster) {
		n := c.nodes["h3"]
		n.Broadcast("k", n.table.Put("k", "1"))
		if took := c.within(secs(1), "k", holds("k", "1")); took > 10*time.Millisecond {
			t.Errorf("the row took %v: it waited for a round of gossip", took)
		}
		if sent := n.Counters()["sent"]; sent != 4 {
			t.Errorf("the row was sent directly to %d peers, want 4", sent)
		}
	})
}

// With a fanout of 1, gossip carries the packet to all others.
func TestGossipReachesEveryMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 0)
		for i := 1; i <= 12; i++ {
			c.start(i, func(cfg *gossip.Config) { cfg.Fanout = 1; cfg.PushPull = time.Hour })
		}
		c.within(secs(5), "all alive", sees(alive(12)))
		c.net.Lose(0.05)
		for i := range 30 {
			n := c.nodes[nameOf(i%12+1)]
			key := fmt.Sprint("k", i)
			n.Broadcast(key, n.table.Put(key, "1"))
		}
		c.within(secs(2), "30 rows", func(n *node) bool { return len(n.table.Rows()) == 30 })
	})
}

func TestLargePacketIsSentOverTCP(t *testing.T) {
	bubble(t, 5, func(t *testing.T, c *cluster) {
		n, value := c.nodes["h2"], strings.Repeat("x", 100_000)
		n.Broadcast("k", n.table.Put("k", value))
		if took := c.within(secs(2), "k", holds("k", value)); took > 100*time.Millisecond {
			t.Errorf("the large row took %v, want at most 100ms", took)
		}
	})
}

func TestLargePacketReachesMostBeyondTheFanout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 0)
		for i := 1; i <= 12; i++ {
			c.start(i, func(cfg *gossip.Config) { cfg.Fanout = 3; cfg.PushPull = time.Hour })
		}
		c.within(secs(5), "all alive", sees(alive(12)))
		n, value := c.nodes["h2"], strings.Repeat("x", 100_000)
		n.Broadcast("k", n.table.Put("k", value))
		got := 0
		c.within(secs(2), "most have it", func(*node) bool {
			got = 0
			for _, n := range c.nodes {
				if holds("k", value)(n) {
					got++
				}
			}
			return got >= 9 // the members that are left out wait for the next digest exchange
		})
	})
}

// On 40 hosts and a network that loses one packet in 20, a row is everywhere within 1.5 s.
func TestRowsReachManyHostsOverALossyNetwork(t *testing.T) {
	const hosts = 40
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, hosts)
		c.within(secs(120), "all alive", sees(alive(hosts)))
		c.net.Lose(0.05)
		var worst time.Duration
		for i := range 20 {
			n, key := c.nodes[nameOf(i%hosts+1)], fmt.Sprint("k", i)
			n.Broadcast(key, n.table.Put(key, "1"))
			worst = max(worst, c.within(1500*time.Millisecond, key, holds(key, "1")))
		}
		t.Logf("everywhere within %v", worst)
	})
}
