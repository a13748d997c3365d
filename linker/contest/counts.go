package contest

import (
	"cmp"
	"slices"
	"time"

	"tombolo/overlay"
)

const (
	// Often is the number of repairs of one thing within Window from which on it is contested:
	// nobody does that by hand.
	Often = 3
	// Window is longer than the pause of programs that set things again by the clock, such as
	// configuration management, which runs every half hour.
	Window = 2 * time.Hour

	// maxThings bounds the things that Counts remembers. A host with more containers has at most
	// so many of them named.
	maxThings = 1000
	// maxTimes bounds the repairs of one thing that Counts remembers.
	maxTimes = 1000
)

// Counts remembers when which thing was put right. The zero value is ready to use. One goroutine
// uses it at a time.
type Counts struct {
	times map[overlay.Repair][]time.Time // oldest first
}

// Contested is a thing that was put right often.
type Contested struct {
	overlay.Repair
	Times int // within Window
}

// Note remembers repairs that were made now. Several of one thing at once count as one.
func (c *Counts) Note(repairs []overlay.Repair, now time.Time) {
	if c.times == nil {
		c.times = map[overlay.Repair][]time.Time{}
	}
	c.forget(now)
	for _, r := range repairs {
		times := c.times[r]
		if times == nil && len(c.times) >= maxThings || len(times) > 0 && times[len(times)-1].Equal(now) {
			continue
		}
		c.times[r] = append(times[max(0, len(times)-maxTimes+1):], now)
	}
}

// forget drops what is older than Window.
func (c *Counts) forget(now time.Time) {
	for r, times := range c.times {
		recent, _ := slices.BinarySearchFunc(times, now.Add(-Window), time.Time.Compare)
		if c.times[r] = times[recent:]; recent == len(times) {
			delete(c.times, r)
		}
	}
}

// Contested returns the things that were put right at least Often within Window before now, sorted
// by kind and name.
func (c *Counts) Contested(now time.Time) []Contested {
	c.forget(now)
	var out []Contested
	for r, times := range c.times {
		if len(times) >= Often {
			out = append(out, Contested{r, len(times)})
		}
	}
	slices.SortFunc(out, func(a, b Contested) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Thing, b.Thing))
	})
	return out
}
