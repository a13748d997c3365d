package overlay

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Attach creates the interface of e, ready to be moved into its container. From then on the
// interface can send from e's addresses, and from no others. A repeat returns the same
// interface. The error is ErrExists if the ID is attached with other addresses, and
// ErrNotSet before the first Set.
func (o *Overlay) Attach(ctx context.Context, e Endpoint) (Interface, error) {
	e.Addr4 = e.Addr4.Unmap()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := ctx.Err(); err != nil { // the caller may have given up while it waited for the lock
		return Interface{}, fmt.Errorf("attach %s: %w", e.ID, err)
	}
	if o.want.config == nil || o.mtu == 0 {
		return Interface{}, fmt.Errorf("attach %s: %w", e.ID, ErrNotSet)
	}
	if !e.Addr4.Is4() {
		return Interface{}, fmt.Errorf("attach %s: no IPv4 address", e.ID)
	}
	err := inside(o.ns, func() error {
		exists, err := o.checkSame(e)
		if !exists && err == nil {
			o.forgetFormerHolder(e)
		}
		return err
	})
	if err != nil {
		return Interface{}, fmt.Errorf("attach %s: %w", e.ID, err)
	}
	o.want.attached[e.ID] = e
	if err := o.attach(ctx, e); err != nil {
		return Interface{}, errors.Join(fmt.Errorf("attach %s: %w", e.ID, err), o.detach(e.ID))
	}
	o.want.attachedNow(e)
	return Interface{Host: HostSide(e.ID), Container: ContainerSide(e.ID), MAC: HardwareAddr(e.Addr4), MTU: o.mtu}, nil
}

// attach opens the gate and binds the addresses while it sets the interface up. That is safe,
// because the table drops everything that an unbound interface sends.
func (o *Overlay) attach(ctx context.Context, e Endpoint) error {
	return inside(o.ns, func() error {
		link, err := createVeth(e, o.mtu)
		if err != nil {
			return err
		}
		bound := make(chan error, 1) // so that the goroutine never waits for the receiver
		go func() { bound <- inside(o.ns, func() error { return o.bind(ctx, e) }) }()
		err = equipVeth(link, e, *o.want.config)
		return errors.Join(err, <-bound)
	})
}

func (o *Overlay) bind(ctx context.Context, e Endpoint) error {
	if o.table.attach(e) == nil {
		return nil
	}
	// Another program has changed the table, perhaps flushed it: write all of it.
	if err := o.table.replace(ctx, compile(o.want.merged(), o.outside...)); err != nil {
		return err
	}
	if err := o.table.attach(e); err != nil { // that program is still at work; Run hears of it
		o.log.Warn("an interface takes no packets until the packet policy is restored", "endpoint", e.ID, "err", err)
	}
	return nil
}

// forgetFormerHolder deletes the tracked connections of e's addresses, which e must not
// inherit. Detach does so too, but a packet may have been tracked since, or the linker may
// have ended before it.
func (o *Overlay) forgetFormerHolder(e Endpoint) {
	if err := deleteConnectionsOf(e); err != nil {
		o.log.Warn("connections of the address's former holder may stay tracked", "endpoint", e.ID, "err", err)
	}
}

// checkSame reports whether e's interface exists. It returns ErrExists if that has other
// addresses.
func (o *Overlay) checkSame(e Endpoint) (exists bool, err error) {
	if known, ok := o.want.attached[e.ID]; ok && (known.Addr4 != e.Addr4 || known.Addr6 != e.Addr6) {
		return true, fmt.Errorf("%w: %s", ErrExists, known.Addr4)
	}
	index, err := deviceIndex(HostSide(e.ID))
	if errors.Is(err, unix.ENODEV) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	have, err := listRoutes()
	if err != nil {
		return true, err
	}
	for dst, r := range have {
		if r.device == index && dst != hostPrefix(e.Addr4) && (!e.Addr6.IsValid() || dst != hostPrefix(e.Addr6)) {
			return true, fmt.Errorf("%w: %s", ErrExists, dst.Addr())
		}
	}
	return true, nil
}

// Detach removes an endpoint's interface and its tracked connections, so that another
// endpoint can have its addresses. It does nothing for an ID that is not attached.
//
// Clients may use the addresses all the time, and none of them may wait in vain. So the tracked
// connections go first: what a client sends then counts as new, and new packets to an address
// without a route are answered (chain nobody). Those that began meanwhile go last.
func (o *Overlay) Detach(_ context.Context, id string) error {
	o.mu.Lock()
	e, known := o.want.endpoint(id)
	o.mu.Unlock()
	if known {
		o.forgetConnections(e) // on a busy host this takes a while: others can attach meanwhile
	}
	o.mu.Lock()
	err := o.detach(id)
	o.mu.Unlock()
	if err != nil {
		return fmt.Errorf("detach %s: %w", id, err)
	}
	if known {
		o.forgetConnections(e)
	}
	return nil
}

func (o *Overlay) forgetConnections(e Endpoint) {
	if err := inside(o.ns, func() error { return deleteConnectionsOf(e) }); err != nil {
		o.log.Warn("connections of a detached endpoint stay tracked", "endpoint", e.ID, "err", err)
	}
}

// detach also removes the endpoint's elements from the sets: the next endpoint with the same
// address has another interface, and may not be internal. They go last, because the sandbox may
// still refuse connections, and its answers have to pass.
func (o *Overlay) detach(id string) error {
	e, known := o.want.endpoint(id)
	o.want.detach(id)
	if known {
		o.leave(e)
	}
	return inside(o.ns, func() error {
		err := o.deleteInterface(e, id)
		if known {
			o.unbind(e)
		}
		return err
	})
}

// deleteInterface deletes the routes before the device, because a device loses what is sent to
// it for some milliseconds before the kernel removes its routes.
func (o *Overlay) deleteInterface(e Endpoint, id string) error {
	index, err := deviceIndex(HostSide(id))
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return err
	}
	link := deviceAt(index, HostSide(id))
	if o.want.config != nil && e.Addr4.IsValid() {
		for _, r := range endpointRoutes(e, *o.want.config, link) {
			if err := removeRoute(r); err != nil {
				o.log.Debug("the route goes with the interface", "endpoint", id, "err", err)
			}
		}
	}
	return o.deleteVeth(link)
}

func (o *Overlay) unbind(e Endpoint) {
	elements := contents{}
	elements.bind(e)
	elements.addAddr("internal", e.Addr4) // also where e was internal and is not any more
	elements.addAddr("internal", e.Addr6)
	present := elements.without(elements.without(o.table.have))
	if err := o.table.change(present, nil); err != nil {
		o.log.Debug("elements of a detached endpoint stay until the next Set", "endpoint", e.ID, "err", err)
	}
}

// deleteVeth deletes a device and returns as soon as nobody can find it any more. The kernel
// answers the deletion tens of milliseconds later, when it has also freed the device, and
// `docker stop` would wait for that.
func (o *Overlay) deleteVeth(link netlink.Link) error {
	freed := make(chan error, 1) // so that the goroutine never waits for the receiver
	o.deleting.Go(func() { freed <- inside(o.ns, func() error { return deleteLink(link) }) })
	for {
		select {
		case err := <-freed:
			return err
		default:
		}
		// The kernel holds the lock that this call waits for until the device is gone.
		if _, err := netlink.LinkByIndex(link.Attrs().Index); errors.As(err, &netlink.LinkNotFoundError{}) {
			return nil
		}
	}
}
