package overlay

import (
	"context"
	"errors"
	"fmt"
)

// Equip does at once what Run does for e's container, if its interface is in its sandbox. If it
// is not there yet, Equip does nothing, because Run will do it. What fails is reported to
// Options.Incomplete, and Run tries again. Only if the container must not start, because it
// would reach Docker's own resolver, is that an error, which wraps ErrResolverOpen.
//
// Equip does not ask for the interface's carrier, which the kernel announces a little after the
// interface is up.
func (o *Overlay) Equip(_ context.Context, e Endpoint) error {
	e.Addr4 = e.Addr4.Unmap()
	o.mu.Lock()
	last := o.sandboxes[e.ID]
	o.mu.Unlock()
	v := visitSandbox(e, last)
	if errors.Is(v.err, errNotThere) {
		return nil
	}
	o.visited(e, v, last)
	if v.err != nil {
		o.incomplete(o.failedVisits())
	}
	if errors.Is(v.err, ErrResolverOpen) {
		return fmt.Errorf("equip %s: %w", e.ID, v.err)
	}
	return nil
}
