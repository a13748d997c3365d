package linker

import (
	"context"
	"errors"
	"reflect"
	"time"

	"tombolo/linker/attach"
	"tombolo/overlay"
)

// converger makes the kernel match the effective catalog and the table of endpoints.
type converger struct {
	plane interface {
		Set(context.Context, overlay.Config) error
	}
	base      overlay.Config // see compile
	effective *effectiveCache
	table     endpoints
	problems  *problems
	adopted   latch // opened once the table holds the endpoints of the last run
	matched   latch // the converger opens it when the kernel matches for the first time
}

// endpoints are this host's: attach.Table.
type endpoints interface {
	Snapshot() []attach.Endpoint
	Watch() (changes <-chan struct{}, cancel func())
}

// retryAfter is the pause between attempts to make the kernel match. Once it does, the
// data plane itself keeps it so.
const retryAfter = time.Second

// run applies every change until ctx ends. Changes that come while it works count as
// one. It returns an error if the kernel can never match.
func (c *converger) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-c.adopted.opened: // before that, interfaces in use would be removed as leftovers
	}
	fromCatalog, stop := c.effective.host.catalog.Watch()
	defer stop()
	fromTable, stop := c.table.Watch()
	defer stop()
	fromBlock, stop := c.effective.block.Watch()
	defer stop()
	var applied *overlay.Config // nil: the kernel may match no Config
	for {
		var err error
		if applied, err = c.apply(ctx, applied); ctx.Err() != nil {
			return nil
		} else if errors.Is(err, overlay.ErrNoVXLAN) || errors.Is(err, overlay.ErrPortInUse) {
			return err
		}
		var retry <-chan time.Time
		if applied == nil {
			retry = time.After(retryAfter)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-fromCatalog:
		case <-fromTable:
		case <-fromBlock:
		case <-retry:
		}
	}
}

// apply makes the kernel match as of now, unless it matches already, and returns the
// Config that it then matches. It does nothing while this host has no block.
func (c *converger) apply(ctx context.Context, applied *overlay.Config) (*overlay.Config, error) {
	e := c.effective.get()
	if e.claim == nil {
		return applied, nil
	}
	want, conflict := compile(c.base, e, c.table.Snapshot())
	c.problems.report(portsProblem, conflict)
	c.problems.report(poolsProblem, e.excluded)
	c.problems.report(addressesProblem, e.misplaced)
	if applied != nil && reflect.DeepEqual(want, *applied) { // as after most changes of the catalog
		return applied, nil
	}
	err := c.plane.Set(ctx, want)
	if ctx.Err() != nil {
		return nil, err
	}
	c.problems.report(overlayProblem, err)
	if err != nil {
		return nil, err
	}
	c.matched.open()
	return &want, nil
}

// gate lets the plugin make interfaces once the kernel has matched for the first time.
// A container that starts earlier waits, as long as Docker's call may take.
type gate struct {
	attach.Interfaces
	matched  latch
	problems *problems
}

func (g gate) Attach(ctx context.Context, ep overlay.Endpoint) (overlay.Interface, error) {
	select {
	case <-g.matched.opened:
		return g.Interfaces.Attach(ctx, ep)
	case <-ctx.Done():
	}
	why := "it is being set up"
	if problems := g.problems.list(); len(problems) > 0 {
		why = problems[0]
	}
	return overlay.Interface{}, errors.New("the overlay of this host is not ready: " + why + " (see: tombolo linker status)")
}
