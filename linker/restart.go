package linker

import (
	"context"
	"sync"
	"time"
)

// outlive runs a part that ends a moment later than ctx: once last has returned.
func outlive(ctx context.Context, run func(context.Context) error, last func()) error {
	longer, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var ending sync.WaitGroup
	ending.Go(func() {
		defer stop()
		select {
		case <-ctx.Done():
			last()
		case <-longer.Done(): // run ended by itself
		}
	})
	err := run(longer)
	stop()
	ending.Wait()
	return err
}

// announceRestart tells the peers that this linker may come back, so that they do not
// suspend its containers meanwhile.
func (l *Linker) announceRestart() {
	claim := l.block.Current()
	if claim == nil {
		return
	}
	if err := l.host.announce(*claim, time.Now().Add(l.cfg.RestartWindow).UTC().Truncate(time.Second)); err != nil {
		l.cfg.Log.Warn("cannot announce the restart", "err", err)
	}
	l.publisher.send() // its own loop may have ended
}
