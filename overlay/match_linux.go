package overlay

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"

	"tombolo/internal/wake"
)

// match is one comparison of the kernel with a Config, in which the kernel is changed where it
// differs: devices, addresses, neighbours, routes and sysctls, but not nftables.
type match struct {
	c          Config
	log        *slog.Logger
	device     netlink.Link // the VXLAN device
	mtu        int          // of the VXLAN device after the last comparison
	found      veths
	outside    []string     // bridges, see outsideBridges
	addresses  []netip.Addr // see Overlay.Addresses
	advertised []string     // interfaces with routes from router advertisements that the kernel reads
	done       changes      // what was changed
	gates      gates
	table      *table // of the policy, without which no gate opens
}

// run does all of the comparison. It does as much as it can; its error joins everything that
// failed.
func (m *match) run() error {
	var err error
	if m.gates, err = readGates(); err != nil {
		return err
	}
	if m.addresses, err = hostAddresses(m.c, m.outside); err != nil {
		return err
	}
	if m.device, err = m.ensureDevice(); err != nil {
		return err
	}
	m.found, err = m.setVeths()
	return errors.Join(err, m.closeGates(), m.setSysctls(deviceSysctls(m.c)), m.setAddresses(), m.setNeighbours(), m.setRoutes())
}

// keepKernel puts right what other programs change in devices, addresses, neighbours, routes and
// sysctls, until ctx is done.
func (o *Overlay) keepKernel(ctx context.Context) error {
	tick := time.NewTicker(recheckSysctls)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.disturbed:
			if wake.Sleep(ctx, settle) {
				o.putRight(ctx, func(m *match) error { return errors.Join(m.setHostSysctls(), m.run()) })
			}
		case <-tick.C:
			o.putRight(ctx, func(m *match) error {
				m.advertised = o.advertised
				return m.setSysctls(slices.Concat(hostSysctls(m.c), deviceSysctls(m.c), m.acceptAdvertisements()))
			})
		}
	}
}

// putRight repeats the part of the last Set that f does. After a failure it repeats all of the
// Set, and reports the error if that fails too.
func (o *Overlay) putRight(ctx context.Context, f func(*match) error) {
	o.mu.Lock()
	if o.want.applied == nil { // the caller repeats Set until it succeeds
		o.mu.Unlock()
		return
	}
	if o.want.stale {
		o.mu.Unlock()
		o.repair(ctx, true)
		return
	}
	err := inside(o.ns, func() error { return o.match(f) })
	o.mu.Unlock()
	if err != nil { // perhaps because the other program was still at work
		o.log.Debug("put the data plane right again", "err", err)
		o.disturbed.Notify()
	}
}
