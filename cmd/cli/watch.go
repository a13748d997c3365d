package cli

import (
	"cmp"
	"context"
	"errors"
	"time"

	"tombolo/cmd/output"
	"tombolo/framework/api"
	"tombolo/internal/wake"
)

// How long a watch looks for a stream that broke off, and how often. A framework that was
// killed and restarted is back within that time.
const (
	streamAgain = 30 * time.Second
	streamPause = 500 * time.Millisecond
)

// watch shows how an app comes up or goes down.
type watch struct {
	client *api.Client
	app    string
	show   output.Progress
}

// follow shows each new status and calls fn with it, until fn returns an error, the app
// is gone or ctx ends. It outlives streams that break off, because a daemon may restart.
func (w watch) follow(ctx context.Context, fn func(api.Status) error) error {
	last, told := time.Now(), false
	for {
		var mine error
		err := w.client.Follow(ctx, w.app, func(s api.Status) error {
			last, told = time.Now(), false
			w.show.Status(s)
			mine = fn(s)
			return mine
		})
		switch {
		case err == nil, mine != nil, ctx.Err() != nil, errors.Is(err, api.ErrNotFound):
			return cmp.Or(ctx.Err(), err)
		case time.Since(last) > streamAgain:
			return err
		}
		if !told {
			told = true
			w.show.Note("the framework does not answer; trying again")
		}
		if !wake.Sleep(ctx, streamPause) {
			return ctx.Err()
		}
	}
}
