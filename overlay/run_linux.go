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

	"tombolo/internal/wake"
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
// gives containers IPv6 as they appear. It returns nil when ctx is done.
func (o *Overlay) Run(ctx context.Context) error {
	tables, err := nl.SubscribeAt(o.ns0(), netns.None(), unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
	if err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	links, err := nl.SubscribeAt(o.ns0(), netns.None(), unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
	if err != nil {
		tables.Close()
		return fmt.Errorf("watch interfaces: %w", err)
	}
	defer o.freeing.Wait()
	changed := wake.NewSignal()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		tables.Close() // ends the reading
		links.Close()
		return nil
	})
	g.Go(func() error { return readEvents(tables, changed) })
	g.Go(func() error { return readEvents(links, o.lacking) })
	g.Go(func() error { return o.mendOn(ctx, changed) })
	g.Go(func() error { return o.giveV6On(ctx) })
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

// readEvents signals every event until the socket is closed.
func readEvents(socket *nl.NetlinkSocket, events wake.Signal) error {
	for {
		_, _, err := socket.Receive()
		switch {
		case errors.Is(err, os.ErrClosed), errors.Is(err, unix.EBADF):
			return nil
		case err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN):
			return fmt.Errorf("watch the kernel: %w", err)
		}
		events.Notify()
	}
}

func (o *Overlay) giveV6On(ctx context.Context) error {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.lacking:
			o.giveV6(false)
		case <-tick.C:
			o.giveV6(true)
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
			if !wake.Sleep(ctx, settle) {
				return nil
			}
			o.mend(ctx, false)
		case <-tick.C:
			o.mend(ctx, true)
		}
	}
}

// mend repeats the last Set, if there is reason to, and tells how that went.
func (o *Overlay) mend(ctx context.Context, always bool) {
	done, err := o.repeat(ctx, always)
	if !done || ctx.Err() != nil {
		return
	}
	if err != nil {
		o.log.Warn("mending the data plane", "err", err)
	}
	o.mended(err)
}

func (o *Overlay) repeat(ctx context.Context, always bool) (done bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.config == nil {
		return false, nil
	}
	err = inside(o.ns, func() error {
		gen, err := generation()
		if err == nil && gen == o.table.gen && !always {
			return nil // the change was ours
		}
		done = true
		return o.set(ctx)
	})
	return done, err
}
