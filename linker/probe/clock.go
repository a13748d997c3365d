package probe

import (
	"cmp"
	"slices"
	"time"
)

// Skew is a peer whose clock differs from that of this host.
type Skew struct {
	Peer  string
	Ahead time.Duration // of this host's clock, in whole seconds; negative: it is behind
}

const (
	// maxSkew is the difference of two clocks from which on it is named: people begin to see it where log lines of
	// two hosts stand together.
	maxSkew = 2 * time.Second
	// skewRounds is how many rounds in a row have to show it. One alone may be the moment in which a clock is set.
	skewRounds = 3
)

// clock is what is known of a peer's clock.
type clock struct {
	ahead  time.Duration
	rounds int // in a row, that have shown more than maxSkew
}

// observe takes the clock of a peer from its answer to a round that began at began, by this host's clock, and took
// took. The peer has read its clock at some moment between, so the difference is known up to half of that.
func (c *clock) observe(peer time.Time, began time.Time, took time.Duration) {
	ahead, doubt := peer.Sub(began.Round(0).Add(took/2)), took/2
	if ahead.Abs()-doubt <= maxSkew {
		*c = clock{}
		return
	}
	c.rounds++
	if (ahead - c.ahead).Abs() > doubt+time.Second { // else it is the same as before
		c.ahead = ahead.Round(time.Second)
	}
}

// skews returns the peers whose clocks differ, sorted.
func (s *state) skews() (all []Skew) {
	for _, k := range s.peers {
		if k.clock.rounds >= skewRounds {
			all = append(all, Skew{k.peer.Name, k.clock.ahead})
		}
	}
	slices.SortFunc(all, func(a, b Skew) int { return cmp.Compare(a.Peer, b.Peer) })
	return all
}
