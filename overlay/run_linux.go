package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// settle is how long Run waits after somebody else's change: tools that reload
	// make many at once, and Docker makes some with every container.
	settle = 100 * time.Millisecond
	// recheck is how often Run repeats the last Set without an event: routes and
	// devices are not watched.
	recheck = 30 * time.Second
)

// Run keeps what Set last made: when another tool flushes or changes nftables it
// repeats the Set within moments, and it repeats it every half minute besides. It
// returns nil when ctx is done.
func (o *Overlay) Run(ctx context.Context) error {
	socket, err := nl.SubscribeAt(o.ns0(), netns.None(), unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
	if err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	defer o.freeing.Wait()
	events := make(chan struct{}, 1) // one stands for any number
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		socket.Close() // ends the reading
		return nil
	})
	g.Go(func() error { return readEvents(socket, events) })
	g.Go(func() error { return o.mendOn(ctx, events) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// ns0 is the namespace in netns's own terms.
func (o *Overlay) ns0() netns.NsHandle {
	if o.ns == 0 {
		return netns.None()
	}
	return o.ns
}

// readEvents signals every change of nftables until the socket is closed.
func readEvents(socket *nl.NetlinkSocket, events chan<- struct{}) error {
	for {
		_, _, err := socket.Receive()
		switch {
		case errors.Is(err, os.ErrClosed), errors.Is(err, unix.EBADF):
			return nil
		case err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN):
			return fmt.Errorf("watch nftables: %w", err)
		}
		select {
		case events <- struct{}{}:
		default:
		}
	}
}

func (o *Overlay) mendOn(ctx context.Context, events <-chan struct{}) error {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events:
			if !sleep(ctx, settle) {
				return nil
			}
			o.mend(ctx, false)
		case <-tick.C:
			o.mend(ctx, true)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// mend repeats the last Set, if there is reason to.
func (o *Overlay) mend(ctx context.Context, always bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.config == nil {
		return
	}
	err := inside(o.ns, func() error {
		gen, err := generation()
		if err == nil && gen == o.table.gen && !always {
			return nil // the change was ours
		}
		return o.set(ctx)
	})
	if err != nil && ctx.Err() == nil {
		o.log.Warn("mending the data plane", "err", err)
	}
}
