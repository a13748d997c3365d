package mesos

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the pause between attempts: it doubles from Min to Max, and each
// pause is shortened by a random part of up to a half, so that the frameworks of
// a cluster do not come back to a new master all at once.
type Backoff struct {
	Min time.Duration // 200 ms when zero
	Max time.Duration // 15 s when zero
}

func (b Backoff) withDefaults() Backoff {
	if b.Min == 0 {
		b.Min = 200 * time.Millisecond
	}
	if b.Max == 0 {
		b.Max = 15 * time.Second
	}
	return b
}

// pause returns the pause before the attempt after n failures, n > 0.
func (b Backoff) pause(n int) time.Duration {
	d := b.Min
	for range n - 1 {
		if d *= 2; d >= b.Max {
			break
		}
	}
	d = min(d, b.Max)
	return d - rand.N(d/2+1)
}

// sleep waits and reports whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
