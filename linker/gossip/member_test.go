package gossip_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tombolo/linker/gossip"
	"tombolo/linker/gossip/gossiptest"
)

func TestSecondMachineWithANameIsKeptOut(t *testing.T) {
	bubble(t, 3, func(t *testing.T, c *cluster) {
		twin := c.start(9, func(cfg *gossip.Config) { cfg.Name = "h2" })
		time.Sleep(secs(5))
		if twin.Counters()["conflicts"]+c.nodes["h1"].Counters()["conflicts"] == 0 {
			t.Error("neither h1 nor the second h2 counted a conflict")
		}
		if got := twin.Conflicts(time.Minute); len(got) != 1 || got[0].Name != "h2" || got[0].Other.String() != addr(2) {
			t.Errorf("the second h2 reports the conflicts %+v, want one, with the first h2 at %s", got, addr(2))
		}
		if got := twin.Conflicts(0); len(got) != 0 {
			t.Errorf("conflicts older than the given age are still reported: %+v", got)
		}
		for _, m := range c.nodes["h1"].Members() {
			if m.Name == "h2" && m.Addr.String() != addr(2) {
				t.Errorf("h1 now has h2 at %v, want the first h2 at %s", m.Addr, addr(2))
			}
		}
	})
}

func TestOnlyMembersWithTheKeyGetIn(t *testing.T) {
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
				t.Errorf("stranger %d, without the key, got %d rows, want none", i, len(got))
			}
			delete(c.nodes, stranger.name)
			stranger.stop()
		}
		c.within(0, "nobody else", sees(alive(3)))
	})
}

func TestEveryProblemOfTheConfigIsReported(t *testing.T) {
	_, err := gossip.New(gossip.Config{
		Keys: [][]byte{{1}}, Fanout: -1, PushPull: -1,
	}, gossiptest.NewTable())
	var got []string
	for line := range strings.Lines(err.Error()) {
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		"gossip config: no name",
		"no address to listen on",
		"key 1: key size must be 16, 24 or 32 bytes",
		"fanout -1 is negative",
		"negative timing",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("lines of the error (-want +got):\n%s", d)
	}
}

func TestANoteReachesOneMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 0)
		got := make(chan string, 10)
		for i := 1; i <= 3; i++ {
			c.start(i, func(cfg *gossip.Config) {
				name := cfg.Name
				cfg.Note = func(from string, body []byte) error {
					got <- from + " to " + name + ": " + string(body)
					return nil
				}
			})
		}
		c.within(secs(5), "all alive", sees(alive(3)))
		n := c.nodes["h1"]
		n.Tell("h2", []byte("hello"))
		n.Tell("h4", []byte("nobody has this name"))
		n.Tell("h2", make([]byte, 1001))
		time.Sleep(secs(1))
		var all []string
		for len(got) > 0 {
			all = append(all, <-got)
		}
		if diff := cmp.Diff([]string{"h1 to h2: hello"}, all); diff != "" {
			t.Errorf("notes that members got (-want +got):\n%s", diff)
		}
	})
}
