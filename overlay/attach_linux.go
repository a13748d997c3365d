package overlay

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// Attach makes e's interface, ready to be moved into its container. When it
// returns, the interface can send from e's addresses only. A repeat returns the
// same interface; the same ID with other addresses is an ErrExists. Before the
// first Set it is an ErrNotSet.
func (o *Overlay) Attach(ctx context.Context, e Endpoint) (Interface, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
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
		return Interface{}, errors.Join(fmt.Errorf("attach %s: %w", e.ID, err), o.detach(ctx, e.ID))
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
	return o.table.replace(ctx, compile(o.merged()))
}

// checkSame reports an ErrExists if e's interface stands with other addresses.
func (o *Overlay) checkSame(e Endpoint) error {
	if known, ok := o.attached[e.ID]; ok && (known.Addr4 != e.Addr4 || known.Addr6 != e.Addr6) {
		return fmt.Errorf("%w: %s", ErrExists, known.Addr4)
	}
	link, err := netlink.LinkByName(HostSide(e.ID))
	if err != nil {
		return nil
	}
	have, err := listRoutes()
	if err != nil {
		return err
	}
	for dst, r := range have {
		if r.device == link.Attrs().Index && dst != host(e.Addr4) && (!e.Addr6.IsValid() || dst != host(e.Addr6)) {
			return fmt.Errorf("%w: %s", ErrExists, dst.Addr())
		}
	}
	return nil
}

// Detach removes an endpoint's interface and forgets it. An ID that is not
// attached is no error.
func (o *Overlay) Detach(ctx context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.detach(ctx, id); err != nil {
		return fmt.Errorf("detach %s: %w", id, err)
	}
	return nil
}

// detach takes the elements away too: the next holder of the address may be
// another interface, and not internal.
func (o *Overlay) detach(ctx context.Context, id string) error {
	if e, ok := o.attached[id]; ok {
		delete(o.attached, id)
		elements := contents{}
		elements.bind(e)
		standing := elements.without(elements.without(o.table.have))
		if err := inside(o.ns, func() error { return errors.Join(o.table.change(standing, nil), forgetAddr(e)) }); err != nil {
			o.log.Debug("detach left traces for the next Set", "endpoint", id, "err", err)
		}
	}
	return inside(o.ns, func() error {
		link, err := netlink.LinkByName(HostSide(id))
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return nil
		}
		if err != nil {
			return err
		}
		return removeLink(link)
	})
}
