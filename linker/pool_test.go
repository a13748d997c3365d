package linker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/linker/block"
	"tombolo/linker/problem"
	"tombolo/overlay"
)

func TestRandomPool6(t *testing.T) {
	a, b := RandomPool6(), RandomPool6()
	if a == b {
		t.Errorf("two calls returned the same pool %s", a)
	}
	for range 100 {
		pool := RandomPool6()
		if err := (Config{Host: "h1", Underlay: netip.MustParseAddr("198.18.0.11"), Pool6: pool}).Validate(); err != nil || !pool.Addr().IsPrivate() {
			t.Errorf("the pool %s is not private or not valid: %v", pool, err)
		}
	}
}

// After a change of --pool6, running containers lose their IPv6 addresses and nothing else.
func TestPool6Changes(t *testing.T) {
	h := newTestHost(t, 14)
	h.cfg.Pool6 = netip.MustParsePrefix("fd00:1:2::/48")
	h.start(t)
	block4 := h.awaitBlock(t)
	id := h.run(t, "web", labels("web"))
	eventually(t, "the endpoint is announced with IPv6", func() bool {
		e := h.localEndpoint(id)
		return e != nil && e.Running && e.Addr6.IsValid()
	})
	h.stop()

	h.cfg.Pool6 = netip.MustParsePrefix("fd00:9:9::/48")
	h.start(t)
	set := <-h.plane.set
	if err := set.Validate(); err != nil || set.Pool6.IsValid() || set.Self.Block4 != block4 || len(set.Endpoints) != 1 || set.Endpoints[0].Addr6.IsValid() {
		t.Errorf("the kernel was given %+v (valid: %v), want block %s and one endpoint, without IPv6", set, err, block4)
	}
	eventually(t, "the host and the endpoint are announced without IPv6", func() bool {
		s := h.catalog.Snapshot()
		host, ep := s.Hosts[h.cfg.Host], h.localEndpoint(id)
		return host != nil && ep != nil && !host.Block6.IsValid() && !ep.Addr6.IsValid()
	})
	if err := errors.Join(h.table.Delete(t.Context(), id), h.table.Release(set.Endpoints[0].Addr4)); err != nil {
		t.Fatal(err)
	}
	h.stop()

	h.start(t) // no container uses the old block any more
	eventually(t, "the host has blocks of both pools", func() bool {
		c := h.block.Current()
		return c != nil && block.Within(c.Block6, h.cfg.Pool6)
	})
	h.stop()
}

func TestOverlappingPoolEndsRun(t *testing.T) {
	h := newTestHost(t, 5)
	l, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.pools.find = func(pools ...netip.Prefix) error {
		return &overlay.PoolOverlapError{Pool: pools[0], Route: netip.MustParsePrefix("100.100.0.0/16"), Device: "vpn0", Table: 52}
	}
	err = l.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "100.64.0.0/10 overlaps 100.100.0.0/16 on vpn0 (table 52): choose another with --pool") {
		t.Errorf("Run returned %v, want an error that names the route and the flag", err)
	}
}

func TestOverlappingPoolIsReportedWhileTheLinkerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := []error{nil, &overlay.PoolOverlapError{Pool: DefaultPool4, Route: netip.MustParsePrefix("100.100.0.0/16"), Device: "vpn0", Table: 52}, nil}
		var looks atomic.Int32
		problems := problem.NewSet(slog.New(slog.DiscardHandler))
		check := poolCheck{
			problems: problems, log: slog.New(slog.DiscardHandler), met: met{},
			resolvers: func(...netip.Prefix) error { return nil },
			drops:     func(context.Context, ...netip.Prefix) ([]overlay.PoolDrop, error) { return nil, nil },
			find: func(...netip.Prefix) error {
				return found[looks.Add(1)-1]
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = check.run(ctx) }()
		time.Sleep(time.Nanosecond) // from here on, the test looks a moment after each check
		for _, want := range []string{"", "overlaps 100.100.0.0/16 on vpn0", ""} {
			if got := fmt.Sprint(problems.List()); (got == "[]") != (want == "") || !strings.Contains(got, want) {
				t.Errorf("after check %d the problems are %q, want %q", looks.Load(), got, want)
			}
			if want == "" && int(looks.Load()) == len(found) {
				break
			}
			time.Sleep(recheckPool)
		}
	})
}

func TestThePoolOfANewClusterIsFree(t *testing.T) {
	taken := map[netip.Prefix]bool{}
	conflict := func(pool netip.Prefix) error {
		if taken[pool] {
			return errors.New("a VPN has it")
		}
		return nil
	}
	if pool, why, err := freePool4(conflict); pool != DefaultPool4 || why != nil || err != nil {
		t.Errorf("freePool4 = %s, %v, %v; want the default pool", pool, why, err)
	}
	taken[DefaultPool4] = true
	pool, why, err := freePool4(conflict)
	if pool != pools4[1] || why == nil || !strings.Contains(why.Error(), "100.64.0.0/10: a VPN has it") || err != nil {
		t.Errorf("freePool4 = %s, %v, %v; want the second pool, because a VPN has the first", pool, why, err)
	}
	for _, pool := range pools4 {
		taken[pool] = true
		if err := (Config{Host: "h1", Underlay: netip.MustParseAddr("198.18.0.11"), Pool4: pool}).Validate(); err != nil {
			t.Errorf("%s is no pool: %v", pool, err)
		}
	}
	if _, _, err := freePool4(conflict); err == nil || !strings.Contains(err.Error(), "--pool") {
		t.Errorf("freePool4 returned %v without a free pool, want an error that names --pool", err)
	}
}

func TestWhatConcernsThePoolIsNamed(t *testing.T) {
	problems := problem.NewSet(slog.New(slog.DiscardHandler))
	dropping := []overlay.PoolDrop{{Rule: `the rule "ip saddr 100.64.0.0/10 drop" in chain ts-input of table ip filter`, Packets: 7}}
	check := poolCheck{
		problems: problems, log: slog.New(slog.DiscardHandler), met: met{}, find: func(...netip.Prefix) error { return nil },
		resolvers: func(...netip.Prefix) error {
			return problem.About("100.100.2.136", errors.New("the name server 100.100.2.136"))
		},
		drops: func(context.Context, ...netip.Prefix) ([]overlay.PoolDrop, error) { return dropping, nil },
	}
	check.look(t.Context())
	got := fmt.Sprint(problems.List())
	for _, word := range []string{"pool-dropped", "chain ts-input of table ip filter", "pool-has-resolver 100.100.2.136", "--pool"} {
		if !strings.Contains(got, word) {
			t.Errorf("the problems are %s, want that they say %q", got, word)
		}
	}
	if problems.Ready() {
		t.Error("the host is ready, although its containers cannot ask its name server")
	}
}

// A rule that drops packets of containers is an outage; one that only could is not.
func TestRulesThatDropPacketsNow(t *testing.T) {
	m, now := met{}, time.Unix(1000, 0)
	for i, c := range []struct {
		packets  uint64
		after    time.Duration
		dropping bool
	}{{7, 0, false}, {7, recheckPool, false}, {9, recheckPool, true}, {9, recheckPool, true}, {9, dropsLately, false}, {10, recheckPool, true}} {
		now = now.Add(c.after)
		dropping, idle := m.sort([]overlay.PoolDrop{{Rule: "r", Packets: c.packets}}, now)
		if (dropping != nil) != c.dropping || (idle != nil) == c.dropping {
			t.Errorf("look %d: dropping is %v and idle %v, want dropping: %v", i+1, dropping, idle, c.dropping)
		}
	}
	if dropping, idle := m.sort(nil, now); dropping != nil || idle != nil || len(m) > 0 {
		t.Errorf("after the rule is gone: %v, %v, %v", dropping, idle, m)
	}
}

// A linker whose containers use the pool starts, whatever has taken a part of it meanwhile.
func TestALaterOverlapDoesNotKeepTheLinkerFromStarting(t *testing.T) {
	h := newTestHost(t, 15)
	h.start(t)
	h.awaitBlock(t)
	h.stop()
	l, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.assembleCluster(); err != nil {
		t.Fatal(err)
	}
	l.pools.find = func(pools ...netip.Prefix) error {
		return &overlay.PoolOverlapError{Pool: pools[0], Route: netip.MustParsePrefix("100.100.0.0/16"), Device: "vpn0", Table: 52}
	}
	if err := l.checkPool(); err != nil {
		t.Errorf("with a block of the last run: %v", err)
	}
	l.cfg.Pool4 = netip.MustParsePrefix("10.99.0.0/16")
	if err := l.checkPool(); err == nil {
		t.Error("without a block in the pool, an overlap is accepted")
	}
}
