package gossip

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tombolo/internal/wake"
)

// dialsPerRound is the number of dead members dialled in one round. One that answers
// tells of all others that it knows.
const dialsPerRound = 3

// dialsAtOnce bounds the dials under way at the same time, when there are many seeds.
const dialsAtOnce = 8

// reconnectMax bounds the pause between two rounds while no member answers.
const reconnectMax = 10 * time.Second

// reconnect joins the cluster and then dials dead members until ctx ends.
//
//	start ──► dial all, once ──► ready ──► pause ──► dial some of the dead ────┐
//	                                         ▲  twice as long when none answers │
//	                                         └──────────────────────────────────┘
func (g *Gossip) reconnect(ctx context.Context) error {
	g.dial(ctx, append(slices.Clone(g.cfg.Seeds), g.membership.deadAddrs()...))
	close(g.ready)
	first := g.cfg.Reconnect
	pauses := wake.NewBackoff(first, max(first, reconnectMax))
	round := time.NewTimer(pauses.Next())
	defer round.Stop()
	exchange := time.NewTimer(time.Hour)
	exchange.Stop()
	defer exchange.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.membership.vanished: // a split has just begun, or a host restarts
			pauses.Reset()
			round.Reset(pauses.Next())
		case <-g.membership.revived:
			exchange.Reset(exchangePause/2 + rand.N(exchangePause))
		case <-exchange.C:
			// One member is enough, because all members of one side of a split know the same. It
			// sends the packets that we lack and its own digest.
			if name := g.membership.cameBack(); name != "" {
				g.addJob(name, job{ask: true})
			}
		case <-round.C:
			if g.redial(ctx) {
				pauses.Reset()
			}
			round.Reset(pauses.Next())
		}
	}
}

// redial dials some of the dead members. It returns false if there were some and none
// of them answered.
func (g *Gossip) redial(ctx context.Context) bool {
	targets := g.membership.deadAddrs()
	if g.membership.alive() == 0 {
		targets = append(targets, g.cfg.Seeds...)
	}
	return len(targets) == 0 || g.dial(ctx, sample(targets, dialsPerRound))
}

// dial exchanges digests with each target and reports whether one answered.
func (g *Gossip) dial(ctx context.Context, targets []string) bool {
	list := g.list.Load()
	if list == nil {
		return false
	}
	var answered atomic.Bool
	var dials errgroup.Group
	dials.SetLimit(dialsAtOnce)
	for _, target := range targets {
		dials.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			if n, err := list.Join([]string{target}); err == nil && n > 0 {
				answered.Store(true)
			}
			return nil
		})
	}
	_ = dials.Wait() // no dial returns an error
	return answered.Load()
}
