package gossip

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"tombolo/internal/wake"
)

// dials is how many of the missing are dialled in one round: one that answers
// brings all that it knows.
const dials = 3

// reconnectMax bounds the pause between two rounds while nobody answers.
const reconnectMax = 10 * time.Second

// reconnect joins the cluster, and then dials members that are missing, for ever.
//
//	start ──► dial all, once ──► ready ──► pause ──► dial some of the missing ─┐
//	                                         ▲  twice as long when none answers │
//	                                         └──────────────────────────────────┘
func (g *Gossip) reconnect(ctx context.Context) error {
	g.dial(ctx, append(slices.Clone(g.cfg.Seeds), g.roster.missing()...))
	close(g.ready)
	first := g.cfg.Timing.Reconnect
	pauses := wake.NewBackoff(first, max(first, reconnectMax))
	round := time.NewTimer(pauses.Next())
	defer round.Stop()
	settled := time.NewTimer(time.Hour)
	settled.Stop()
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.roster.lost: // a split has just begun, or a host is restarting
			pauses.Reset()
			round.Reset(pauses.Next())
		case <-g.roster.returned:
			settled.Reset(jitter(settle))
		case <-settled.C:
			g.compare()
		case <-round.C:
			if g.redial(ctx) {
				pauses.Reset()
			}
			round.Reset(pauses.Next())
		}
	}
}

// redial dials some of the missing members. It returns false if there were some and
// none of them answered.
func (g *Gossip) redial(ctx context.Context) bool {
	targets := g.roster.missing()
	if g.roster.alive() == 0 {
		targets = append(targets, g.cfg.Seeds...)
	}
	return len(targets) == 0 || g.dial(ctx, some(targets, dials))
}

// dial exchanges states with each target, a few at a time, and reports whether one
// answered.
func (g *Gossip) dial(ctx context.Context, targets []string) (answered bool) {
	list := g.current()
	if list == nil {
		return false
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8) // dials at once when there are many seeds
	for _, target := range targets {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() != nil || !join(list, target) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answered = true
		})
	}
	wg.Wait()
	return answered
}

func join(list *memberlist.Memberlist, target string) bool {
	n, err := list.Join([]string{target})
	return err == nil && n > 0
}

func some(all []string, n int) []string {
	all = slices.Clone(all)
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(n, len(all))]
}
