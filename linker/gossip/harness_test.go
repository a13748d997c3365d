package gossip_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/linker/gossip"
	"tombolo/linker/gossip/gossiptest"
)

// node is one running member.
type node struct {
	*gossip.Gossip
	name  string
	table *gossiptest.Table
	stop  func()
}

// states returns whether each other member is alive, as n sees it.
func (n *node) states() map[string]bool {
	states := map[string]bool{}
	for _, m := range n.Members() {
		states[m.Name] = m.Alive
	}
	return states
}

// cluster is a few members on one in-memory network. It lives in a synctest bubble, in
// which waiting takes no real time.
type cluster struct {
	t     *testing.T
	net   *gossiptest.Network
	nodes map[string]*node // the members that within checks
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

// stop ends all members and waits for memberlist's last probes, because its Shutdown
// does not.
func (c *cluster) stop() {
	for _, n := range c.all {
		n.stop()
	}
	time.Sleep(time.Minute)
}

// start starts member i with an empty table and member 1 as its seed.
func (c *cluster) start(i int, change ...func(*gossip.Config)) *node {
	c.t.Helper()
	cfg := gossip.Config{
		Name: nameOf(i), Seeds: []string{addr(1)}, Keys: c.keys,
		Bind: netip.MustParseAddrPort(addr(i)), Transport: c.net.Transport(addr(i)),
	}
	for _, f := range change {
		f(&cfg)
	}
	n := &node{name: cfg.Name, table: gossiptest.NewTable()}
	g, err := gossip.New(cfg, n.table)
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
			c.t.Errorf("Run of %s returned %v after its context had ended, want nil", n.name, err)
		}
	})
	<-g.Ready()
	c.nodes[n.name] = n
	c.all = append(c.all, n)
	return n
}

// within lets time pass until ok is true for every member in c.nodes, and returns how
// long that took. The test fails if it takes longer than limit.
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
			c.t.Fatalf("after %v %s still does not see %q; its rows are %v, its states %v", limit, bad, what, n.table.Rows(), n.states())
		}
		time.Sleep(max(time.Millisecond, limit/500)) // fake time
	}
}

// sees returns whether a member knows exactly these states of the others.
func sees(want map[string]bool) func(*node) bool {
	return func(n *node) bool {
		w := maps.Clone(want)
		delete(w, n.name)
		return maps.Equal(w, n.states())
	}
}

func alive(n int) map[string]bool {
	m := map[string]bool{}
	for i := 1; i <= n; i++ {
		m[nameOf(i)] = true
	}
	return m
}

func holds(key, value string) func(*node) bool {
	return func(n *node) bool { return n.table.Rows()[key] == value }
}

// bubble runs f in a cluster of n members that know each other.
func bubble(t *testing.T, n int, f func(*testing.T, *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, n)
		c.within(secs(5), "all alive", sees(alive(n)))
		f(t, c)
	})
}
