package gossip_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/gossip"
	"tombolo/linker/gossip/gossiptest"
)

// events records who is in which state.
type events struct {
	mu     sync.Mutex
	states map[string]gossip.State
	metas  map[string]string
	calls  int
}

func newEvents() *events {
	return &events{states: map[string]gossip.State{}, metas: map[string]string{}}
}

func (e *events) note(m gossip.Member, s gossip.State) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.states[m.Name], e.metas[m.Name] = s, string(m.Meta)
	e.calls++
}

func (e *events) Alive(m gossip.Member) { e.note(m, gossip.StateAlive) }
func (e *events) Dead(m gossip.Member)  { e.note(m, gossip.StateDead) }
func (e *events) Left(m gossip.Member)  { e.note(m, gossip.StateLeft) }

func (e *events) now() map[string]gossip.State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.states)
}

// node is one running member.
type node struct {
	*gossip.Gossip
	name  string
	table *gossiptest.Table
	ev    *events
	stop  func()
}

// cluster is some members on one in-memory network. It lives in a synctest bubble:
// time passes as fast as there is nothing to do.
type cluster struct {
	t     *testing.T
	net   *gossiptest.Network
	nodes map[string]*node // those that are to agree
	all   []*node
	keys  [][]byte
}

func addr(i int) string        { return fmt.Sprintf("198.18.0.%d:7980", i) }
func nameOf(i int) string      { return fmt.Sprintf("h%d", i) }
func secs(n int) time.Duration { return time.Duration(n) * time.Second }

func newCluster(t *testing.T, n int) *cluster {
	c := &cluster{t: t, net: gossiptest.NewNetwork(1), nodes: map[string]*node{}}
	t.Cleanup(c.stop)
	for i := 1; i <= n; i++ {
		c.start(i)
	}
	return c
}

// stop ends all, and gives memberlist's last probes the time to notice: its
// Shutdown does not wait for them.
func (c *cluster) stop() {
	for _, n := range c.all {
		n.stop()
	}
	time.Sleep(time.Minute)
}

// start starts member i, which knows member 1 as seed, with an empty table.
func (c *cluster) start(i int, change ...func(*gossip.Config)) *node {
	c.t.Helper()
	cfg := gossip.Config{
		Name: nameOf(i), Meta: []byte("m" + fmt.Sprint(i)), Seeds: []string{addr(1)}, Keys: c.keys,
		Bind: netip.MustParseAddrPort(addr(i)), Transport: c.net.Transport(addr(i)),
	}
	for _, f := range change {
		f(&cfg)
	}
	n := &node{name: cfg.Name, table: gossiptest.NewTable(), ev: newEvents()}
	g, err := gossip.New(cfg, n.table, n.ev)
	if err != nil {
		c.t.Fatal(err)
	}
	n.Gossip = g
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Errorf("%s: %v", n.name, err)
		}
	})
	<-g.Ready()
	c.nodes[n.name] = n
	c.all = append(c.all, n)
	return n
}

// within lets time pass until ok holds of every running member, and returns how
// long that took.
func (c *cluster) within(limit time.Duration, what string, ok func(*node) bool) time.Duration {
	c.t.Helper()
	start := time.Now()
	for {
		synctest.Wait()
		bad := ""
		for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
			if n := c.nodes[name]; !ok(n) {
				bad = name
				break
			}
		}
		if bad == "" {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			n := c.nodes[bad]
			c.t.Fatalf("after %v: %s: not on %s: rows %v, states %v", limit, what, bad, n.table.Rows(), n.ev.now())
		}
		time.Sleep(time.Millisecond) // fake time
	}
}

func sees(want map[string]gossip.State) func(*node) bool {
	return func(n *node) bool {
		w := maps.Clone(want)
		delete(w, n.name)
		return maps.Equal(w, n.ev.now())
	}
}

func alive(n int) map[string]gossip.State {
	m := map[string]gossip.State{}
	for i := 1; i <= n; i++ {
		m[nameOf(i)] = gossip.StateAlive
	}
	return m
}

func holds(key, value string) func(*node) bool {
	return func(n *node) bool { return n.table.Rows()[key] == value }
}

func bubble(t *testing.T, n int, f func(*testing.T, *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, n)
		c.within(secs(5), "all alive", sees(alive(n)))
		f(t, c)
	})
}

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

func TestDeadHost(t *testing.T) {
	bubble(t, 5, func(t *testing.T, c *cluster) {
		c.nodes["h4"].stop()
		delete(c.nodes, "h4")
		want := alive(5)
		want["h4"] = gossip.StateDead
		took := c.within(secs(10), "h4 dead", sees(want))
		t.Logf("found dead after %v", took)
		if took > 6*time.Second {
			t.Errorf("found dead after %v", took)
		}
		for _, m := range c.nodes["h1"].Members() {
			if (m.Name == "h4") != (m.State == gossip.StateDead) {
				t.Errorf("member %+v", m)
			}
		}
	})
}

// Both sides of a split change rows, and one loses a row's broadcast; healing
// makes all the same without anybody's help, although memberlist has long
// forgotten the dead.
func TestSplitAndHeal(t *testing.T) {
	for _, length := range []time.Duration{secs(10), 10 * time.Minute} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			bubble(t, 5, func(t *testing.T, c *cluster) {
				c.net.Split(addr(4), addr(5))
				time.Sleep(length) // fake time
				c.within(secs(1), "split", func(n *node) bool {
					away := n.name == "h4" || n.name == "h5"
					for name, s := range n.ev.now() {
						if other := name == "h4" || name == "h5"; (s == gossip.StateDead) != (away != other) {
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

// A member that comes back with an empty disk and another meta gets everything.
func TestRestartWithLostDisk(t *testing.T) {
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
			c.start(2, func(cfg *gossip.Config) { cfg.Meta = []byte("again after " + pause.String()) })
			took := c.within(secs(5), "50 rows again", func(n *node) bool {
				n.ev.mu.Lock()
				defer n.ev.mu.Unlock()
				return len(n.table.Rows()) == 50 && (n.name == "h2" || n.ev.metas["h2"] == "again after "+pause.String())
			})
			t.Logf("pause %v: whole again after %v", pause, took)
			c.within(secs(5), "all alive", sees(alive(5)))
		}
	})
}

// The seed restarts on an empty disk: it finds the others by what it stored, and
// where it stored nothing they find it.
func TestSeedRestarts(t *testing.T) {
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

func TestKnownIsDialled(t *testing.T) {
	bubble(t, 2, func(t *testing.T, c *cluster) {
		c.start(3, func(cfg *gossip.Config) {
			cfg.Seeds = nil
			cfg.Known = map[string]netip.AddrPort{"h2": netip.MustParseAddrPort(addr(2)), "h3": netip.MustParseAddrPort(addr(3))}
		})
		c.within(secs(2), "all alive", sees(alive(3)))
	})
}

func TestLeave(t *testing.T) {
	bubble(t, 3, func(t *testing.T, c *cluster) {
		n := c.nodes["h3"]
		if err := n.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := alive(3)
		want["h3"] = gossip.StateLeft
		delete(c.nodes, "h3")
		c.within(secs(3), "h3 left", sees(want))
		n.stop()
		if err := n.Leave(t.Context()); err != nil {
			t.Errorf("after the end: %v", err)
		}
		time.Sleep(time.Minute)
		c.within(0, "h3 is still gone", sees(want))
	})
}

func TestSetMeta(t *testing.T) {
	bubble(t, 3, func(t *testing.T, c *cluster) {
		if err := c.nodes["h1"].SetMeta([]byte("new")); err != nil {
			t.Fatal(err)
		}
		c.within(secs(3), "new meta", func(n *node) bool {
			n.ev.mu.Lock()
			defer n.ev.mu.Unlock()
			return n.name == "h1" || n.ev.metas["h1"] == "new"
		})
		if err := c.nodes["h1"].SetMeta(make([]byte, gossip.MaxMeta+1)); err == nil {
			t.Error("a meta too large is taken")
		}
	})
}

// A second machine with a name that is taken is not let in, and does no harm.
func TestNameConflict(t *testing.T) {
	bubble(t, 3, func(t *testing.T, c *cluster) {
		twin := c.start(9, func(cfg *gossip.Config) { cfg.Name = "h2" })
		time.Sleep(secs(5))
		if twin.Stats().Conflicts+c.nodes["h1"].Stats().Conflicts == 0 {
			t.Error("nobody noticed")
		}
		for _, m := range c.nodes["h1"].Members() {
			if m.Name == "h2" && m.Addr.String() != addr(2) {
				t.Errorf("h2 is now at %v", m.Addr)
			}
		}
	})
}

func TestEncrypted(t *testing.T) {
	key, other := []byte(strings.Repeat("k", 32)), []byte(strings.Repeat("o", 32))
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 0)
		c.keys = [][]byte{key}
		for i := 1; i <= 3; i++ {
			c.start(i)
		}
		c.within(secs(5), "all alive", sees(alive(3)))
		n := c.nodes["h1"]
		large := strings.Repeat("x", 100_000)
		n.Broadcast("small", n.table.Put("small", "1"))
		n.Broadcast("large", n.table.Put("large", large))
		c.within(secs(2), "both", func(n *node) bool { return holds("small", "1")(n) && holds("large", large)(n) })

		for i, keys := range [][][]byte{{other}, nil} {
			stranger := c.start(4+i, func(cfg *gossip.Config) { cfg.Keys = keys })
			time.Sleep(secs(10))
			synctest.Wait()
			if got := stranger.table.Rows(); len(got) != 0 {
				t.Errorf("keys %d: a stranger got %d rows", i, len(got))
			}
			delete(c.nodes, stranger.name)
			stranger.stop()
		}
		c.within(0, "nobody else", sees(alive(3)))
	})
}

func TestAnotherCluster(t *testing.T) {
	bubble(t, 2, func(t *testing.T, c *cluster) {
		c.start(3, func(cfg *gossip.Config) { cfg.Cluster = "another" })
		delete(c.nodes, "h3")
		time.Sleep(secs(10))
		c.within(0, "still two", sees(alive(2)))
		if c.nodes["h1"].Stats().Malformed == 0 {
			t.Error("not counted")
		}
	})
}

func TestConfigRefuses(t *testing.T) {
	_, err := gossip.New(gossip.Config{
		Meta: make([]byte, 513), Keys: [][]byte{{1}}, Fanout: -1, Cluster: strings.Repeat("c", 256),
		Timing: gossip.Timing{Probe: -1},
	}, gossiptest.NewTable(), newEvents())
	var got []string
	for line := range strings.Lines(err.Error()) {
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		"gossip config: no name",
		"meta of 513 bytes: at most 504",
		"cluster name of 256 bytes: at most 255",
		"key 1: key size must be 16, 24 or 32 bytes",
		"fanout -1",
		"negative timing",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}
