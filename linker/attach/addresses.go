package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// UseBlock says which block is this host's; see ipam.Allocator.Use. Endpoints keep
// their addresses, whatever became of the allocator's file, but not an IPv6 address
// that the block does not have any more: no host has a route to it.
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

// InUse reports whether a container has, or is being given, an address.
func (t *Table) InUse() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.doc.Endpoints) > 0 || len(t.cfg.Addresses.Held()) > 0
}

// Reserve hands out an IPv4 address of this host's block; see ipam.Allocator.Request.
func (t *Table) Reserve(ctx context.Context, want netip.Addr) (netip.Addr, error) {
	return t.cfg.Addresses.Request(ctx, want)
}

// Release gives an address back. One that an endpoint still has stays held until
// that is gone: Docker releases it even when it could not remove the endpoint.
func (t *Table) Release(addr netip.Addr) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.owner(addr) != nil {
		return nil
	}
	return t.cfg.Addresses.Release(addr)
}

// EndpointAt is the ID of the endpoint that has an address. It is asked for every DNS
// query, and takes no lock.
func (t *Table) EndpointAt(addr netip.Addr) (id string, ok bool) {
	id, ok = (*t.holders.Load())[addr]
	return id, ok
}

// indexHolders follows a change. t.mu is held, or nobody has t yet.
func (t *Table) indexHolders() {
	next := make(map[netip.Addr]string, 2*len(t.doc.Endpoints))
	for id, ep := range t.doc.Endpoints {
		for _, addr := range []netip.Addr{ep.Addr4, ep.Addr6} {
			if addr.IsValid() {
				next[addr] = id
			}
		}
	}
	t.holders.Store(&next)
}

// checkAddr says what is wrong with an endpoint's address. t.mu is held.
func (t *Table) checkAddr(ep *Endpoint) error {
	if _, ok := t.cfg.Addresses.Held()[ep.Addr4]; !ok {
		return fmt.Errorf("address %s was not given by this linker: the network needs --ipam-driver tombolo", ep.Addr4)
	}
	if other := t.owner(ep.Addr4); other != nil && other.ID != ep.ID {
		return fmt.Errorf("address %s is endpoint %s's", ep.Addr4, Short(other.ID))
	}
	return nil
}

// owner is the endpoint that has an IPv4 address, or nil. t.mu is held.
func (t *Table) owner(addr netip.Addr) *Endpoint {
	for _, ep := range t.doc.Endpoints {
		if ep.Addr4 == addr {
			return ep
		}
	}
	return nil
}

// collectAddresses releases those that no endpoint holds: Docker reserves an
// address, and may crash before it makes the endpoint.
func (t *Table) collectAddresses() {
	used := map[netip.Addr]bool{}
	for _, ep := range t.Snapshot() {
		used[ep.Addr4] = true
	}
	for addr, since := range t.cfg.Addresses.Held() {
		if used[addr] || t.now().Sub(since) < Grace {
			continue
		}
		if err := t.Release(addr); err != nil { // unless an endpoint has just taken it
			t.cfg.Log.Warn("cannot release an address", "addr", addr, "err", err)
		}
	}
}
