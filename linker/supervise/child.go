package supervise

import (
	"context"
	"os"
	"time"
)

// Supervised reports whether this process is the child of a Run.
func Supervised() bool { return os.Getenv(beatEnv) != "" }

// Beat sends a heartbeat whenever check passes, every interval, until ctx ends. In
// a process that is nobody's child it only waits.
func Beat(ctx context.Context, interval time.Duration, check func(context.Context) error) error {
	if !Supervised() {
		<-ctx.Done()
		return nil
	}
	pipe := os.NewFile(beatFD, "heartbeat")
	defer pipe.Close()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, interval)
		err := check(within)
		cancel()
		if err == nil {
			// A parent that is gone is no reason to end: the kernel does that.
			_, _ = pipe.Write([]byte{1})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
