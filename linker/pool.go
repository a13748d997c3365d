package linker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"time"

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

// poolCheck finds routes of this host that overlap the pools.
type poolCheck struct {
	pools    []netip.Prefix // Pool4 and Pool6, which may be unset
	find     func(pools ...netip.Prefix) error
	problems *problem.Set
}

// once refuses pools that overlap, before the linker starts.
func (p poolCheck) once() error {
	err := p.find(p.pools...)
	if errors.Is(err, overlay.ErrPoolOverlap) {
		return fmt.Errorf("%w: choose another with --pool or --pool6", err)
	}
	return err
}

// recheckPool is the time between two looks at this host's routes.
const recheckPool = 30 * time.Second

// run reports a program, perhaps a VPN, that has begun to route a part of a pool. The
// linker goes on then, because containers use it.
func (p poolCheck) run(ctx context.Context) error {
	for wake.Sleep(ctx, recheckPool) {
		p.problems.Report(problem.PoolRoutedElsewhere, p.find(p.pools...))
	}
	return nil
}
