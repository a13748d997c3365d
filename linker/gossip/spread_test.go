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
			t.Errorf("it took %v: it waited for a gossip tick", took)
		}
		if s := n.Stats(); s.Sent != 4 {
			t.Errorf("sent to %d peers at once, want 4", s.Sent)
		}
	})
}

// With a fanout of one, gossip carries the packet to all others.
func TestGossipSpreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 0)
		for i := 1; i <= 12; i++ {
			c.start(i, func(cfg *gossip.Config) { cfg.Fanout = 1; cfg.Timing.PushPull = time.Hour })
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

func TestLargePacket(t *testing.T) {
	bubble(t, 5, func(t *testing.T, c *cluster) {
		n, value := c.nodes["h2"], strings.Repeat("x", 100_000)
		n.Broadcast("k", n.table.Put("k", value))
		if took := c.within(secs(2), "k", holds("k", value)); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

func TestLargePacketBeyondFanout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 0)
		for i := 1; i <= 12; i++ {
			c.start(i, func(cfg *gossip.Config) { cfg.Fanout = 3; cfg.Timing.PushPull = time.Hour })
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
			return got >= 9 // who is passed over waits for the next exchange
		})
	})
}

// Forty hosts and a network that loses one packet in twenty: what a host tells is
// everywhere within a second and a half.
func TestManyHosts(t *testing.T) {
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
