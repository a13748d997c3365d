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
	// settle is the time between another program's change and the repair: a tool that
	// reloads its rules makes many changes at once, and Docker makes some with every container.
	settle = 100 * time.Millisecond
	// recheck is the time between repairs that no event has asked for.
	recheck = 30 * time.Second
	// recheckSysctls is the time between two looks at the sysctls, because nothing tells about
	// most of them.
	recheckSysctls = time.Second
)

// Run repeats the last Set when another program changes nftables, and every half minute. It puts
// devices, addresses, neighbours, routes and sysctls right within two seconds after a change. It
// gives containers IPv6, and the linker's resolver in place of Docker's, as their interfaces
// appear. It returns nil when ctx is done.
func (o *Overlay) Run(ctx context.Context) error {
	sockets, err := o.openSockets()
	if err != nil {
		return err
	}
	defer o.deleting.Wait()
	changed := wake.NewSignal()
	changed.Notify() // of changes before this call, which no event tells about
	o.disturbed.Notify()
	o.toEquip.Notify()
	parent := ctx
	g, ctx := errgroup.WithContext(parent)
	g.Go(func() error {
		<-ctx.Done()
		sockets.close() // this ends those that read them
		return nil
	})
	g.Go(func() error { return readEvents(sockets.tables, changed) })
	g.Go(func() error { return readEvents(sockets.links, o.toEquip) })
	g.Go(func() error { return o.watchKernel(sockets.kernel) })
	g.Go(func() error { return o.keepKernel(ctx) })
	g.Go(func() error {
		return onEvent(ctx, changed, func(scheduled bool) {
			if scheduled || wake.Sleep(ctx, settle) {
				o.repair(ctx, scheduled)
			}
		})
	})
	g.Go(func() error { return o.keepEquipped(ctx) })
	g.Go(func() error { o.watchLegacy(ctx); return nil })
	g.Go(func() error { o.firewall.Run(ctx, o.firewall.reportNow); return nil })
	g.Go(func() error {
		return onEvent(ctx, o.moved, func(bool) {
			if wake.Sleep(ctx, straySettle) {
				o.deleteStrays()
			}
		})
	})
	if err := g.Wait(); parent.Err() == nil {
		return err
	}
	return nil
}

// sockets are the subscriptions of Run.
type sockets struct {
	tables *nl.NetlinkSocket // changes of nftables
	links  *nl.NetlinkSocket // interfaces that appear and change
	kernel *nl.NetlinkSocket // kernelGroups
}

func (o *Overlay) openSockets() (s sockets, err error) {
	for _, open := range []struct {
		socket   **nl.NetlinkSocket
		what     string
		protocol int
		groups   []uint
	}{
		{&s.tables, "nftables", unix.NETLINK_NETFILTER, []uint{unix.NFNLGRP_NFTABLES}},
		{&s.links, "interfaces", unix.NETLINK_ROUTE, []uint{unix.RTNLGRP_LINK}},
		{&s.kernel, "routes", unix.NETLINK_ROUTE, kernelGroups},
	} {
		if *open.socket, err = o.subscribe(open.protocol, open.groups...); err != nil {
			s.close()
			return s, fmt.Errorf("watch %s: %w", open.what, err)
		}
	}
	return s, nil
}

func (s sockets) close() {
	for _, socket := range []*nl.NetlinkSocket{s.tables, s.links, s.kernel} {
		if socket != nil {
			socket.Close()
		}
	}
}

func (o *Overlay) subscribe(protocol int, groups ...uint) (*nl.NetlinkSocket, error) {
	ns := o.ns
	if ns == 0 {
		ns = netns.None() // what netns calls the namespace of the process
	}
	return nl.SubscribeAt(ns, netns.None(), protocol, groups...)
}

// readEvents notifies of every event until the socket is closed.
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

// onEvent calls do for each event and, with scheduled, every half minute until ctx is done.
func onEvent(ctx context.Context, events wake.Signal, do func(scheduled bool)) error {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events:
			do(false)
		case <-tick.C:
			do(true)
		}
	}
}

// repair repeats the last Set and reports its error with Options.Repaired. If no repair is
// scheduled now, it does so only if another program has changed nftables.
func (o *Overlay) repair(ctx context.Context, scheduled bool) {
	done, err := o.setAgain(ctx, scheduled)
	if done && ctx.Err() == nil {
		o.reportRepair(err)
	}
}

// reportRepair logs an error that it has not logged last.
func (o *Overlay) reportRepair(err error) {
	o.mu.Lock()
	text := fmt.Sprint(err)
	news := text != o.lastRepair
	o.lastRepair = text
	o.mu.Unlock()
	if err != nil && news {
		o.log.Warn("the data plane differs from its configuration and cannot be repaired", "err", err)
	}
	o.repaired(err)
}

func (o *Overlay) setAgain(ctx context.Context, scheduled bool) (done bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want.config == nil {
		return false, nil
	}
	err = inside(o.ns, func() error {
		gen, err := generation()
		if err == nil && gen == o.table.gen && !scheduled {
			return nil // the change was ours
		}
		done = true
		if err == nil && gen != o.table.gen {
			o.firewall.seen = noticed // the rest takes longer
			o.ensureFirewall(ctx, *o.want.config)
		}
		return o.setAll(ctx)
	})
	return done, err
}
