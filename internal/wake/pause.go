package wake

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Sleep waits for d and returns true, or returns false at once when ctx ends.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// jitter is the part of a pause by which chance shortens or lengthens it, so that
// many who wait for one server do not all come back at the same moment.
const jitter = 0.25

// Backoff spaces the attempts of something that fails. The pauses double from about
// first to about longest and stay there. One goroutine uses it.
type Backoff struct{ pauses backoff.ExponentialBackOff }

// NewBackoff returns a Backoff whose next pause is the first one.
func NewBackoff(first, longest time.Duration) *Backoff {
	b := &Backoff{backoff.ExponentialBackOff{
		InitialInterval: first, MaxInterval: longest, Multiplier: 2, RandomizationFactor: jitter,
	}}
	b.Reset()
	return b
}

// Wait pauses before the next attempt. It returns false at once when ctx ends.
func (b *Backoff) Wait(ctx context.Context) bool { return Sleep(ctx, b.Next()) }

// Next returns the pause before the next attempt, for a caller that waits for other
// things too or logs the pause.
func (b *Backoff) Next() time.Duration { return b.pauses.NextBackOff() }

// Reset makes the next pause the first one again. Call it after a success.
func (b *Backoff) Reset() { b.pauses.Reset() }
