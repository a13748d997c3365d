package overlay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Attach makes e's interface, ready to be moved into its container. When it
// returns, the interface can send from e's addresses only. A repeat returns the
// same interface; the same ID with other addresses is an ErrExists. Before the
// first Set it is an ErrNotSet.
func (o *Overlay) Attach(ctx context.Context, e Endpoint) (Interface, error) {
	e.Addr4 = e.Addr4.Unmap()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := ctx.Err(); err != nil { // whoever asked has given up while another was at work
		return Interface{}, fmt.Errorf("attach %s: %w", e.ID, err)
	}
	if o.config == nil || o.mtu == 0 {
		return Interface{}, fmt.Errorf("attach %s: %w", e.ID, ErrNotSet)
	}
	if !e.Addr4.Is4() {
		return Interface{}, fmt.Errorf("attach %s: no IPv4 address", e.ID)
	}
	if err := inside(o.ns, func() error { return o.checkSame(e) }); err != nil {
		return Interface{}, fmt.Errorf("attach %s: %w", e.ID, err)
	}
	o.attached[e.ID] = e
	if err := o.attach(ctx, e); err != nil {
		return Interface{}, errors.Join(fmt.Errorf("attach %s: %w", e.ID, err), o.detach(e.ID))
	}
	if o.stands != nil {
		o.stands.Endpoints = append(o.stands.Endpoints, e)
	}
	return Interface{Host: HostSide(e.ID), Container: ContainerSide(e.ID), MAC: HardwareAddr(e.Addr4), MTU: o.mtu}, nil
}

// attach does its two halves at once: until the interface is in the bound set,
// the table drops whatever it sends.
func (o *Overlay) attach(ctx context.Context, e Endpoint) error {
	bound := make(chan error, 1) // the sender never waits
	go func() { bound <- inside(o.ns, func() error { return o.bind(ctx, e) }) }()
	err := inside(o.ns, func() error { return createVeth(e, *o.config, o.mtu) })
	return errors.Join(err, <-bound)
}

func (o *Overlay) bind(ctx context.Context, e Endpoint) error {
	elements := contents{}
	elements.bind(e)
	if o.table.change(nil, elements.without(o.table.have)) == nil {
		return nil
	}
	// Somebody flushed the table: restore all of it.
	return o.table.replace(ctx, compile(o.merged(), o.outside...))
}

// checkSame reports an ErrExists if e's interface stands with other addresses.
func (o *Overlay) checkSame(e Endpoint) error {
	if known, ok := o.attached[e.ID]; ok && (known.Addr4 != e.Addr4 || known.Addr6 != e.Addr6) {
		return fmt.Errorf("%w: %s", ErrExists, known.Addr4)
	}
	index, err := deviceIndex(HostSide(e.ID))
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return err
	}
	have, err := listRoutes()
	if err != nil {
		return err
	}
	for dst, r := range have {
		if r.device == index && dst != host(e.Addr4) && (!e.Addr6.IsValid() || dst != host(e.Addr6)) {
			return fmt.Errorf("%w: %s", ErrExists, dst.Addr())
		}
	}
	return nil
}

// Detach removes an endpoint's interface and forgets it and its connections. An
// ID that is not attached is no error.
func (o *Overlay) Detach(_ context.Context, id string) error {
	o.mu.Lock()
	e, known := o.known(id)
	err := o.detach(id)
	o.mu.Unlock()
	if err != nil {
		return fmt.Errorf("detach %s: %w", id, err)
	}
	if !known {
		return nil
	}
	// On a busy host this takes a while, in which others may attach.
	if err := inside(o.ns, func() error { return forgetAddr(e) }); err != nil {
		o.log.Warn("connections of a detached endpoint stay tracked", "endpoint", id, "err", err)
	}
	return nil
}

// detach takes the endpoint's elements away too: the next holder of the address
// may be another interface, and not internal.
func (o *Overlay) detach(id string) error {
	e, known := o.known(id)
	delete(o.attached, id)
	delete(o.v6, id)
	if o.stands != nil {
		o.stands.Endpoints = slices.DeleteFunc(o.stands.Endpoints, func(e Endpoint) bool { return e.ID == id })
	}
	return inside(o.ns, func() error {
		if known {
			o.unbind(e)
		}
		index, err := deviceIndex(HostSide(id))
		if errors.Is(err, unix.ENODEV) {
			return nil
		}
		if err != nil {
			return err
		}
		return o.unlink(deviceAt(index, HostSide(id)))
	})
}

// unlink deletes a device and returns as soon as nobody finds it any more. The
// kernel's own answer comes tens of milliseconds later, when it has freed the device
// too, and `docker stop` would wait for that.
func (o *Overlay) unlink(link netlink.Link) error {
	freed := make(chan error, 1) // the sender never waits
	o.freeing.Go(func() { freed <- inside(o.ns, func() error { return removeLink(link) }) })
	for {
		select {
		case err := <-freed:
			return err
		default:
		}
		// This waits for the lock under which the device goes.
		if _, err := netlink.LinkByIndex(link.Attrs().Index); errors.As(err, &netlink.LinkNotFoundError{}) {
			return nil
		}
	}
}

func (o *Overlay) unbind(e Endpoint) {
	elements := contents{}
	elements.bind(e)
	elements.addAddr("internal", e.Addr4) // whatever e says by now
	elements.addAddr("internal", e.Addr6)
	standing := elements.without(elements.without(o.table.have))
	if err := o.table.change(standing, nil); err != nil {
		o.log.Debug("elements of a detached endpoint stay until the next Set", "endpoint", e.ID, "err", err)
	}
}

// known finds an endpoint in the attached set or the last Config.
func (o *Overlay) known(id string) (Endpoint, bool) {
	if e, ok := o.attached[id]; ok {
		return e, true
	}
	if o.config != nil {
		for _, e := range o.config.Endpoints {
			if e.ID == id {
				return e, true
			}
		}
	}
	return Endpoint{}, false
}
