package linker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"time"

	"tombolo/dns"
	"tombolo/internal/wake"
	"tombolo/linker/problem"
	"tombolo/overlay"
)

// DefaultPool4 is the overlay's IPv4 range where the configuration names none.
var DefaultPool4 = netip.MustParsePrefix("100.64.0.0/10")

// RandomPool6 returns an IPv6 pool for a new cluster: a unique local /48 with 40 random
// bits that set it apart from other networks (RFC 4193, section 3.2). Every host of the
// cluster needs the same one, so the caller has to keep it.
func RandomPool6() netip.Prefix {
	var a [16]byte
	a[0] = 0xfd
	rand.Read(a[1:6]) // it never fails
	return netip.PrefixFrom(netip.AddrFrom16(a), 48)
}

// pools4 are the IPv4 pools from which FreePool4 chooses. The first is for carriers (RFC 6598),
// where VPNs and some clouds have addresses too. The second is for benchmarks (RFC 2544), the
// others are private ranges that few networks use.
var pools4 = []netip.Prefix{
	DefaultPool4,
	netip.MustParsePrefix("198.19.0.0/16"), netip.MustParsePrefix("10.213.0.0/16"), netip.MustParsePrefix("10.87.0.0/16"),
	netip.MustParsePrefix("10.151.0.0/16"), netip.MustParsePrefix("172.29.0.0/16"),
}

// FreePool4 returns a pool for a new cluster: the default one, or else the first of some others
// that no route, no name server and no firewall rule of this host concerns. why says why it is
// not the default one; nil: it is.
func FreePool4(ctx context.Context) (pool netip.Prefix, why error, err error) {
	return freePool4(func(pool netip.Prefix) error {
		drops, _ := overlay.PoolDrops(ctx, pool) // where nft is missing, the linker says so
		_, dropped := met{}.sort(drops, time.Now())
		return errors.Join(dropped, overlay.CheckPool(pool), resolversIn(pool))
	})
}

func freePool4(conflict func(netip.Prefix) error) (pool netip.Prefix, why error, err error) {
	var all []error
	for _, pool := range pools4 {
		taken := conflict(pool)
		if taken == nil {
			return pool, errors.Join(all...), nil
		}
		all = append(all, fmt.Errorf("%s: %w", pool, taken))
	}
	return netip.Prefix{}, nil, fmt.Errorf("no range of addresses is free for containers: name one with --pool, such as 10.99.0.0/16: %w", errors.Join(all...))
}

// resolversIn returns an error for each name server of this host that has an address in a pool.
func resolversIn(pools ...netip.Prefix) error {
	servers, err := dns.Resolvers(overlay.Gateway4)
	if err != nil {
		return nil // nobody can ask them either
	}
	var found []error
	for _, s := range servers {
		for _, pool := range pools {
			if pool.IsValid() && pool.Contains(s) {
				found = append(found, problem.About(s.String(), fmt.Errorf("the name server %s of this host has an address of the pool %s", s, pool)))
			}
		}
	}
	return errors.Join(found...)
}

// poolCheck finds what of this host overlaps the pools.
type poolCheck struct {
	pools     []netip.Prefix // Pool4 and Pool6, which may be unset
	find      func(pools ...netip.Prefix) error
	drops     func(ctx context.Context, pools ...netip.Prefix) ([]overlay.PoolDrop, error)
	resolvers func(pools ...netip.Prefix) error
	met       met
	problems  *problem.Set
	log       *slog.Logger
}

// once refuses pools that overlap, before the linker of a host starts that has no containers in
// them yet.
func (p poolCheck) once() error {
	err := p.find(p.pools...)
	if errors.Is(err, overlay.ErrPoolOverlap) {
		return fmt.Errorf("%w: choose another with --pool or --pool6", err)
	}
	return err
}

// recheckPool is the time between two looks at this host's routes, rules and name servers.
const recheckPool = 10 * time.Second

// run reports a program, perhaps a VPN, that has begun to route or to drop a part of a pool, and
// name servers in it. The linker goes on then, because containers use the pool.
func (p poolCheck) run(ctx context.Context) error {
	for {
		p.look(ctx)
		if !wake.Sleep(ctx, recheckPool) {
			return nil
		}
	}
}

func (p poolCheck) look(ctx context.Context) {
	p.problems.Report(problem.PoolRoutedElsewhere, p.find(p.pools...))
	p.problems.Report(problem.PoolHasResolver, p.resolvers(p.pools...))
	drops, err := p.drops(ctx, p.pools...)
	if err != nil {
		p.log.Debug("cannot look for rules that drop packets of the pool", "err", err)
		return
	}
	dropping, idle := p.met.sort(drops, time.Now())
	p.problems.Report(problem.PoolDropping, dropping)
	p.problems.Report(problem.PoolDropped, idle)
}

// dropsLately is how long a rule counts as one that drops packets of containers after its counter
// has grown.
const dropsLately = time.Minute

// met remembers the counters of rules that drop packets of the pool.
type met map[string]counted

type counted struct {
	packets uint64
	grew    time.Time // zero: not since the linker started
}

// sort tells the rules that have dropped packets lately from the others.
func (m met) sort(drops []overlay.PoolDrop, now time.Time) (dropping, idle error) {
	present := map[string]bool{}
	for _, d := range drops {
		present[d.Rule] = true
		c, known := m[d.Rule]
		if known && d.Packets > c.packets {
			c.grew = now
		}
		c.packets = d.Packets
		m[d.Rule] = c
		if !c.grew.IsZero() && now.Sub(c.grew) < dropsLately {
			dropping = errors.Join(dropping, fmt.Errorf("%s drops packets of the pool", d.Rule))
		} else {
			idle = errors.Join(idle, fmt.Errorf("%s drops packets of the pool", d.Rule))
		}
	}
	maps.DeleteFunc(m, func(rule string, _ counted) bool { return !present[rule] })
	return dropping, idle
}
