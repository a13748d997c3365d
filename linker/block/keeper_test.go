package block

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/internal/wake"
	"tombolo/linker/record"
)

// cluster fakes everything around the Keeper of host h1.
type cluster struct {
	wake.Broadcast
	searched  chan struct{}
	known     int
	answering atomic.Int32
	nameTaken atomic.Bool
	inUse     atomic.Bool
	asked     atomic.Int32
	compared  atomic.Pointer[Comparison] // nil: as many comparisons as were asked for, without a difference

	mu    sync.Mutex
	state outcome
}

// outcome is what the Keeper has changed so far.
type outcome struct {
	hosts   map[string]*record.Host // replaced as a whole by each change
	used    []Claim
	refused error
	saved   Claim
	problem error
	told    []record.Hold // one for each announcement
}

func (c *cluster) outcome() outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *cluster) change(fn func(o *outcome)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn(&c.state)
}

func newCluster() *cluster {
	return &cluster{searched: make(chan struct{}), state: outcome{hosts: map[string]*record.Host{}}}
}

func (c *cluster) Snapshot() *record.Snapshot { return &record.Snapshot{Hosts: c.outcome().hosts} }

// put makes every host see h in the catalog; nil removes the host.
func (c *cluster) put(name string, h *record.Host) {
	c.change(func(o *outcome) {
		o.hosts = maps.Clone(o.hosts)
		o.hosts[name] = h
		if h == nil {
			delete(o.hosts, name)
		}
	})
	c.Notify()
}

func (c *cluster) announce(claim Claim, hold record.Hold) error {
	c.change(func(o *outcome) { o.told = append(o.told, hold) })
	c.put("h1", &record.Host{Name: "h1", Block4: claim.Block4, Block6: claim.Block6, Hold: hold, Claimed: claim.Claimed})
	return nil
}

func (c *cluster) Ask() { c.asked.Add(1) }

func (c *cluster) Compared() Comparison {
	if result := c.compared.Load(); result != nil {
		return *result
	}
	return Comparison{Count: int(c.asked.Load())}
}

func (c *cluster) Searched() <-chan struct{}     { return c.searched }
func (c *cluster) Count() (answering, known int) { return int(c.answering.Load()), c.known }
func (c *cluster) IdentityTaken() bool           { return c.nameTaken.Load() }
func (c *cluster) InUse() bool                   { return c.inUse.Load() }
func (c *cluster) Refuse(reason error) {
	c.change(func(o *outcome) { o.refused = reason })
}

func (c *cluster) UseBlock(block4, block6 netip.Prefix) error {
	c.change(func(o *outcome) { o.used = append(o.used, Claim{Block4: block4, Block6: block6}) })
	return nil
}

func (c *cluster) config() Config {
	return Config{
		Rules:       Rules{Host: "h1", Pool4: netip.MustParsePrefix("10.0.0.0/22"), Pool6: netip.MustParsePrefix("fd00:1:2::/48")},
		JoinTimeout: 10 * time.Second, Settle: time.Second,
		Catalog: c, Peers: c, Exchange: c, Addresses: c,
		Announce: c.announce,
		Save:     func(claim Claim) { c.change(func(o *outcome) { o.saved = claim }) },
		Adopt:    func() error { return nil },
		Report:   func(err error) { c.change(func(o *outcome) { o.problem = err }) },
		Log:      slog.New(slog.DiscardHandler),
	}
}

// run runs a Keeper in a bubble of its own time until test returns.
func run(t *testing.T, cfg Config, test func(t *testing.T, k *Keeper)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	k := New(cfg)
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	synctest.Wait()
	test(t, k)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run returned %v after its context had ended, want nil", err)
	}
}

// inBubble is run with a cluster of its own whose hosts have all been dialled.
func inBubble(t *testing.T, setUp func(c *cluster, cfg *Config), test func(t *testing.T, c *cluster, k *Keeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		cfg := c.config()
		setUp(c, &cfg)
		run(t, cfg, func(t *testing.T, k *Keeper) { test(t, c, k) })
	})
}

// pass lets time pass until every goroutine waits again.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (c *cluster) mustHave(t *testing.T, k *Keeper) Claim {
	t.Helper()
	claim := k.Current()
	if claim == nil {
		t.Fatalf("the host has no block; its problem is: %v", c.outcome().problem)
	}
	if last := c.outcome().used[len(c.outcome().used)-1]; last.Block4 != claim.Block4 || c.outcome().hosts["h1"].Block4 != claim.Block4 {
		t.Errorf("the current block is %s, but addresses come from %s and %s is announced", claim.Block4, last.Block4, c.outcome().hosts["h1"].Block4)
	}
	return *claim
}

// rivalOf is another host with a claim of the same block.
func rivalOf(claim Claim, hold record.Hold) *record.Host {
	return &record.Host{Name: "rival", Block4: claim.Block4, Hold: hold}
}

// rivalNamed is another host with containers in the block of a claim.
func rivalNamed(name string, claim Claim) *record.Host {
	return &record.Host{Name: name, Block4: claim.Block4, Hold: record.HoldUsed}
}

func TestAHostAloneClaimsABlock(t *testing.T) {
	inBubble(t, func(*cluster, *Config) {}, func(t *testing.T, c *cluster, k *Keeper) {
		changes, stop := k.Watch()
		defer stop()
		<-changes // a new watcher is told to look
		if k.Current() != nil {
			t.Error("a block was claimed before any host was dialled")
		}
		close(c.searched)
		synctest.Wait()
		if c.outcome().hosts["h1"] == nil || k.Current() != nil {
			t.Errorf("announced %+v and uses %v, want a claim that is announced and not used yet", c.outcome().hosts["h1"], k.Current())
		}
		pass(time.Second)
		claim := c.mustHave(t, k)
		<-changes
		if c.outcome().saved != claim || !claim.Block6.IsValid() || c.outcome().problem != nil {
			t.Errorf("claimed %v, saved %v, with the problem %v; want the claim saved and no problem", claim, c.outcome().saved, c.outcome().problem)
		}
	})
}

func TestAHostThatCannotJoinWaitsForJoinTimeout(t *testing.T) {
	inBubble(t, func(c *cluster, cfg *Config) { cfg.Joins = []string{"h2"}; close(c.searched) }, func(t *testing.T, c *cluster, k *Keeper) {
		pass(10*time.Second - time.Millisecond)
		if c.outcome().hosts["h1"] != nil {
			t.Error("a claim was announced before JoinTimeout")
		}
		if err := c.outcome().problem; err == nil || !strings.Contains(err.Error(), "waiting for the hosts to join (h2): if none answers within 10s") {
			t.Errorf("while the host looks for others its problem is %v, want one that names them and the time", err)
		}
		pass(time.Second + time.Millisecond)
		c.mustHave(t, k)
	})
}

func TestNoClaimWithoutAMajority(t *testing.T) {
	inBubble(t, func(c *cluster, _ *Config) { c.known = 2; close(c.searched) }, func(t *testing.T, c *cluster, k *Keeper) {
		pass(time.Hour)
		if c.outcome().hosts["h1"] != nil || c.outcome().problem == nil || !strings.Contains(c.outcome().problem.Error(), "only 1 of the 3 known hosts answer") {
			t.Errorf("announced %+v with the problem %v, want no claim and a problem with both numbers", c.outcome().hosts["h1"], c.outcome().problem)
		}
		c.answering.Store(1)
		pass(pollPeers + pollRecords + 2*time.Second)
		c.mustHave(t, k)
		if c.outcome().problem != nil {
			t.Errorf("a problem that is over is still reported: %v", c.outcome().problem)
		}
	})
}

func TestNoClaimWhileTheIdentityIsTaken(t *testing.T) {
	inBubble(t, func(c *cluster, _ *Config) { c.nameTaken.Store(true); close(c.searched) }, func(t *testing.T, c *cluster, k *Keeper) {
		pass(time.Hour)
		if c.outcome().hosts["h1"] != nil {
			t.Error("a claim was announced under the identity of another machine")
		}
		c.nameTaken.Store(false)
		pass(2 * time.Second)
		c.mustHave(t, k)
	})
}

// A machine that was made from a copy of another one's disk, with another address, does not take
// over that one's block.
func TestACopyDoesNotUseTheBlockOfItsOriginal(t *testing.T) {
	inBubble(t, func(c *cluster, cfg *Config) {
		cfg.Last, cfg.Moved = Claim{Block4: netip.MustParsePrefix("10.0.2.0/24"), Block6: netip.MustParsePrefix("fd00:1:2:0:2::/80"), Claimed: day}, true
		c.nameTaken.Store(true)
		close(c.searched)
	}, func(t *testing.T, c *cluster, k *Keeper) {
		pass(time.Hour)
		if k.Current() != nil || len(c.outcome().told) > 0 || c.outcome().problem == nil {
			t.Errorf("the copy uses %v, has announced %v and has the problem %v; want a problem only", k.Current(), c.outcome().told, c.outcome().problem)
		}
		c.nameTaken.Store(false)
		pass(2 * time.Second)
		c.mustHave(t, k)
	})
}

func TestAContestedClaimIsGivenUpBeforeItSettles(t *testing.T) {
	inBubble(t, func(c *cluster, _ *Config) { close(c.searched) }, func(t *testing.T, c *cluster, k *Keeper) {
		pass(time.Second / 2)
		first := c.outcome().hosts["h1"].Block4
		c.put("rival", rivalOf(Claim{Block4: first}, record.HoldSettled))
		pass(time.Second)
		if claim := c.mustHave(t, k); claim.Block4.Overlaps(first) || len(c.outcome().used) != 1 {
			t.Errorf("the host used the blocks %v after its claim of %s was contested, want one other block", c.outcome().used, first)
		}
	})
}

func TestAFullPoolIsReportedUntilABlockIsFree(t *testing.T) {
	inBubble(t, func(c *cluster, _ *Config) {
		c.outcome().hosts["big"] = hostWith("big", "10.0.0.0/22", day)
		close(c.searched)
	}, func(t *testing.T, c *cluster, k *Keeper) {
		pass(time.Hour)
		if !errors.Is(c.outcome().problem, errNoBlock) {
			t.Errorf("the problem is %v, want errNoBlock", c.outcome().problem)
		}
		c.put("big", nil)
		pass(time.Second)
		c.mustHave(t, k)
		if c.outcome().problem != nil {
			t.Errorf("a problem that is over is still reported: %v", c.outcome().problem)
		}
	})
}

func TestAPriorClaim(t *testing.T) {
	settled := func(t *testing.T, c *cluster, k *Keeper) Claim {
		close(c.searched)
		pass(time.Second)
		return c.mustHave(t, k)
	}
	t.Run("takes a block without addresses in use", func(t *testing.T) {
		inBubble(t, func(*cluster, *Config) {}, func(t *testing.T, c *cluster, k *Keeper) {
			lost := settled(t, c, k)
			c.put("rival", rivalOf(lost, record.HoldUsed))
			synctest.Wait()
			if c.outcome().refused == nil || !strings.Contains(c.outcome().refused.Error(), "belongs to host rival") {
				t.Errorf("requests are refused with %v while the block is given up, want the reason", c.outcome().refused)
			}
			pass(time.Second)
			if now := c.mustHave(t, k); now.Block4.Overlaps(lost.Block4) || c.outcome().saved != now || c.outcome().refused != nil {
				t.Errorf("after %s was lost, the host uses %v, saved %v and refuses with %v", lost.Block4, now, c.outcome().saved, c.outcome().refused)
			}
		})
	})
	t.Run("quarantines a block with addresses in use", func(t *testing.T) {
		inBubble(t, func(*cluster, *Config) {}, func(t *testing.T, c *cluster, k *Keeper) {
			mine := settled(t, c, k)
			c.inUse.Store(true)
			c.put("a-rival", rivalNamed("a-rival", mine)) // both have containers: names decide
			pass(time.Hour)
			if c.mustHave(t, k) != mine || c.outcome().refused == nil || c.outcome().problem == nil {
				t.Errorf("requests are refused with %v and the problem is %v, want the block kept, with a reason in both", c.outcome().refused, c.outcome().problem)
			}
			c.put("a-rival", nil)
			synctest.Wait()
			if c.mustHave(t, k) != mine || c.outcome().refused != nil || c.outcome().problem != nil {
				t.Errorf("the other claim is gone, but the host refuses with %v and reports %v", c.outcome().refused, c.outcome().problem)
			}
		})
	})
	t.Run("takes a quarantined block once its last address is released", func(t *testing.T) {
		inBubble(t, func(*cluster, *Config) {}, func(t *testing.T, c *cluster, k *Keeper) {
			mine := settled(t, c, k)
			c.inUse.Store(true)
			c.put("a-rival", rivalNamed("a-rival", mine))
			pass(time.Minute)
			c.inUse.Store(false)
			pass(recheck + time.Second)
			if now := c.mustHave(t, k); now.Block4.Overlaps(mine.Block4) {
				t.Errorf("the host still uses block %s after its last address was released, want another block", now.Block4)
			}
		})
	})
	t.Run("never takes a fixed block", func(t *testing.T) {
		fixed := netip.MustParsePrefix("10.0.1.0/24")
		inBubble(t, func(_ *cluster, cfg *Config) { cfg.Rules.Fixed = fixed }, func(t *testing.T, c *cluster, k *Keeper) {
			pass(time.Second) // it waits for no peers
			c.put("rival", rivalOf(c.mustHave(t, k), record.HoldUsed))
			pass(time.Hour)
			if claim := c.mustHave(t, k); claim.Block4 != fixed || c.outcome().problem == nil {
				t.Errorf("the host uses block %s with the problem %v, want block %s and a problem", claim.Block4, c.outcome().problem, fixed)
			}
		})
	})
}

// The clocks of hosts differ: a newcomer whose clock is behind takes no block from a host
// that has settled, whatever its record says about time.
func TestANewcomerWhoseClockIsBehindChangesNothing(t *testing.T) {
	inBubble(t, func(c *cluster, _ *Config) { close(c.searched) }, func(t *testing.T, c *cluster, k *Keeper) {
		pass(time.Second)
		mine := c.mustHave(t, k)
		newcomer := rivalNamed("a-newcomer", mine)
		newcomer.Hold, newcomer.Claimed = record.HoldAnnounced, day.Add(-365*24*time.Hour)
		c.put("a-newcomer", newcomer)
		pass(time.Hour)
		if c.mustHave(t, k) != mine || c.outcome().refused != nil || c.outcome().problem != nil {
			t.Errorf("the host uses %v, refuses requests with %v and has the problem %v; want the same block and neither", k.Current(), c.outcome().refused, c.outcome().problem)
		}
	})
}

// A host that announces a block which this host has may not have seen this host's claim, so
// that this host announces it again, and not more than once a second.
func TestAClaimIsAnnouncedAgainWhenItIsContested(t *testing.T) {
	inBubble(t, func(c *cluster, _ *Config) { close(c.searched) }, func(t *testing.T, c *cluster, k *Keeper) {
		pass(time.Second)
		mine := c.mustHave(t, k)
		pass(time.Minute)
		before := len(c.outcome().told)
		for range 100 {
			c.put("rival", rivalOf(mine, record.HoldAnnounced)) // a new record each time
			pass(10 * time.Millisecond)
		}
		pass(time.Hour)
		told := c.outcome().told[before:]
		if len(told) < 1 || len(told) > 3 || slices.ContainsFunc(told, func(h record.Hold) bool { return h != record.HoldSettled }) {
			t.Errorf("within a second the claim was announced again as %v, want once or twice, as settled", told)
		}
		c.inUse.Store(true)
		pass(recheck)
		if told := c.outcome().told; told[len(told)-1] != record.HoldUsed {
			t.Errorf("a container has an address of the block, and the claim was announced as %v", told)
		}
	})
}

// A claim waits for the records of all hosts that another host knows.
func TestNoClaimWithoutTheRecordsOfAllHosts(t *testing.T) {
	inBubble(t, func(c *cluster, _ *Config) {
		c.known = 3
		c.answering.Store(3)
		c.compared.Store(&Comparison{})
		close(c.searched)
	}, func(t *testing.T, c *cluster, k *Keeper) {
		for what, result := range map[string]Comparison{
			"no host has told what it holds":    {},
			"the records of a host are missing": {Count: 1, Missing: 1},
		} {
			c.compared.Store(&result)
			asked := c.asked.Load()
			pass(time.Minute)
			if c.outcome().hosts["h1"] != nil || c.outcome().problem == nil || !strings.Contains(c.outcome().problem.Error(), "waiting for the records of other hosts") {
				t.Errorf("while %s, %+v was announced with the problem %v; want no claim, and a problem that says so", what, c.outcome().hosts["h1"], c.outcome().problem)
			}
			if n := c.asked.Load() - asked; n < 60 || n > 600 {
				t.Errorf("while %s, other hosts were asked %d times in a minute", what, n)
			}
		}
		c.compared.Store(&Comparison{Count: 2, Different: 1}) // some always differ in a cluster that changes
		pass(time.Second)
		if c.outcome().hosts["h1"] == nil {
			t.Error("no claim was announced although every host is known")
		}
		pass(time.Minute)
		if k.Current() != nil {
			t.Error("the claim has settled although no host was compared since it was announced")
		}
		c.compared.Store(&Comparison{Count: 3})
		pass(time.Second)
		c.mustHave(t, k)
	})
}

func TestBlockOfTheLastRun(t *testing.T) {
	last := Claim{Block4: netip.MustParsePrefix("10.0.2.0/24"), Block6: netip.MustParsePrefix("fd00:1:2:0:2::/80"), Claimed: day}
	otherPool6 := netip.MustParsePrefix("fd00:9:9::/48")
	without6 := Claim{Block4: last.Block4, Claimed: day}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		inUse  bool
		want   Claim // zero: none is used at once
	}{
		{"is used at once", func(*Config) {}, false, last},
		{"is dropped if the pool changed", func(c *Config) { c.Rules.Pool4 = netip.MustParsePrefix("10.9.0.0/16") }, false, Claim{}},
		{"is dropped if the IPv6 pool changed", func(c *Config) { c.Rules.Pool6 = otherPool6 }, false, Claim{}},
		{"is dropped if the operator chose another", func(c *Config) { c.Rules.Fixed = netip.MustParsePrefix("10.0.3.0/24") }, false, Claim{}},
		{"is kept without IPv6 while addresses are in use", func(c *Config) { c.Rules.Pool6 = otherPool6 }, true, without6},
		{"is kept while addresses are in use", func(c *Config) { c.Rules.Fixed = netip.MustParsePrefix("10.0.3.0/24") }, true, last},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(c *cluster, cfg *Config) {
				cfg.Last, c.known = last, 2 // nobody answers
				c.inUse.Store(tt.inUse)
				tt.change(cfg)
			}, func(t *testing.T, _ *cluster, k *Keeper) {
				var got Claim
				if claim := k.Current(); claim != nil {
					got = *claim
				}
				if got != tt.want {
					t.Errorf("the host uses the claim %v at once, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestRunEndsIfTheHostCannotBeAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		close(c.searched)
		cfg := c.config()
		broken := errors.New("the record is too large")
		cfg.Announce = func(Claim, record.Hold) error { return broken }
		if err := New(cfg).Run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("Run returned %v, want the error of Announce", err)
		}
	})
}
