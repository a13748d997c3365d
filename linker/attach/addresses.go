package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// UseBlock sets this host's block; see ipam.Allocator.Use. Endpoints keep their IPv4
// addresses even if the allocator's file was lost. They lose an IPv6 address that is no
// longer in the block, because no host has a route to it.
func (t *Table) UseBlock(block4, block6 netip.Prefix) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var inUse []netip.Addr
	for _, ep := range t.doc.Endpoints {
		inUse = append(inUse, ep.Addr4)
	}
	err := t.cfg.Addresses.Use(block4, block6, inUse...)
	lost := false
	for _, ep := range t.doc.Endpoints {
		if ep.Addr6.IsValid() && ep.Addr6 != t.cfg.Addresses.Sibling(ep.Addr4) {
			ep.Addr6, lost = netip.Addr{}, true
		}
	}
	if lost {
		err = errors.Join(err, t.changed())
	}
	return err
}

// InUse reports whether a container has an address or is being given one.
func (t *Table) InUse() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.doc.Endpoints) > 0 || len(t.cfg.Addresses.Held()) > 0
}

// Reserve hands out an IPv4 address of this host's block; see ipam.Allocator.Request.
func (t *Table) Reserve(ctx context.Context, want netip.Addr) (netip.Addr, error) {
	return t.cfg.Addresses.Request(ctx, want)
}

// Release gives an address back. An address that an endpoint has stays held until the
// endpoint is deleted, because Docker releases it even if it could not remove the
// endpoint.
func (t *Table) Release(addr netip.Addr) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, used := t.EndpointAt(addr); used {
		return nil
	}
	return t.cfg.Addresses.Release(addr)
}

// EndpointAt returns the ID of the endpoint that has an address. It takes no lock,
// because it is called for every DNS query.
func (t *Table) EndpointAt(addr netip.Addr) (id string, ok bool) {
	id, ok = (*t.byAddr.Load())[addr]
	return id, ok
}

// indexAddresses rebuilds the index of EndpointAt. t.mu is held, or t is being made.
func (t *Table) indexAddresses() {
	next := make(map[netip.Addr]string, 2*len(t.doc.Endpoints))
	for id, ep := range t.doc.Endpoints {
		for _, addr := range []netip.Addr{ep.Addr4, ep.Addr6} {
			if addr.IsValid() {
				next[addr] = id
			}
		}
	}
	t.byAddr.Store(&next)
}

// checkAddr returns an error if ep may not have its address. t.mu is held.
func (t *Table) checkAddr(ep *Endpoint) error {
	if _, ok := t.cfg.Addresses.Held()[ep.Addr4]; !ok {
		return fmt.Errorf("address %s was not given by this linker: the network needs --ipam-driver tombolo", ep.Addr4)
	}
	if other, used := t.EndpointAt(ep.Addr4); used && other != ep.ID {
		return fmt.Errorf("address %s belongs to endpoint %s", ep.Addr4, Short(other))
	}
	return nil
}

// releaseUnused releases the addresses that no endpoint has had for Grace. Docker
// reserves an address first, and may crash before it makes the endpoint.
func (t *Table) releaseUnused() {
	for addr, since := range t.cfg.Addresses.Held() {
		if _, used := t.EndpointAt(addr); used || time.Since(since) < Grace {
			continue
		}
		if err := t.Release(addr); err != nil {
			t.cfg.Log.Warn("cannot release an address", "addr", addr, "err", err)
		}
	}
}
