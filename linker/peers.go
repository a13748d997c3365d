package linker

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"tombolo/linker/block"
	"tombolo/linker/problem"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// peers returns the other hosts to which this one sends packets, sorted by name. It
// leaves out hosts without a block, and hosts whose block is outside the pool, because
// they would receive traffic that does not belong to the overlay; the error names those
// with another pool. Of hosts with overlapping blocks it returns the one whose claim comes first, so
// that every host sends to the same one.
func peers(s *record.Snapshot, self *record.Host, pool4, pool6 netip.Prefix) ([]overlay.Peer, error) {
	var out []overlay.Peer
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(s.Hosts)) {
		h := s.Hosts[key]
		name := h.Name
		if key == self.Key() || !h.Block4.IsValid() {
			continue
		}
		if !block.Within(h.Block4, pool4) {
			errs = append(errs, problem.About(name, fmt.Errorf("host %s uses another pool: its block %s is outside of %s", name, h.Block4, pool4)))
			continue
		}
		if h.Block4.Overlaps(self.Block4) || block.PriorClaim(s, pool4, h) != nil {
			continue
		}
		p := peer(h)
		if !h.Block6.IsValid() {
			p.Overlay6 = netip.Addr{} // an address outside of any block of the host
		} else if err := checkBlock6(h, pool4, pool6); err != nil {
			errs = append(errs, problem.About(name, err))
			p.Block6, p.Overlay6 = netip.Prefix{}, netip.Addr{}
		}
		out = append(out, p)
	}
	return out, errors.Join(errs...)
}

// checkBlock6 returns an error if a host announces an IPv6 block that is not its own. Claims
// settle which host has an IPv4 block, and its IPv6 block follows from that.
func checkBlock6(h *record.Host, pool4, pool6 netip.Prefix) error {
	switch own := block.Pair6(pool4, pool6, h.Block4); {
	case !pool6.IsValid() || h.Block6 == own:
		return nil
	case !block.Within(h.Block6, pool6):
		return fmt.Errorf("host %s uses another IPv6 pool: its block %s is outside of %s", h.Name, h.Block6, pool6)
	default:
		return fmt.Errorf("host %s uses another pool: it announces the IPv6 block %s, but %s belongs to its block %s", h.Name, h.Block6, own, h.Block4)
	}
}

func peer(h *record.Host) overlay.Peer {
	mac, err := net.ParseMAC(h.MAC)
	if err != nil && h.Overlay4.IsValid() {
		mac = overlay.HardwareAddr(h.Overlay4) // which every linker of this version uses
	}
	mtu := h.MTU
	if mtu > 0 {
		mtu = max(mtu, overlay.MinMTU)
	}
	return overlay.Peer{
		MTU: mtu, ID: h.Key(), Name: h.Name, Underlay: h.Underlay, Block4: h.Block4, Block6: h.Block6,
		Overlay4: h.Overlay4, Overlay6: h.Overlay6, MAC: mac, Addresses: h.Addresses,
	}
}

// reachable returns s without the endpoints of hosts that are no peers: if two hosts claim
// one block, the addresses of the loser's containers now mean the winner's. It also leaves
// out addresses that are not in a block of the endpoint's host. Otherwise that host could
// take over the address and the permissions of another host's container. The error names
// the endpoints with such addresses.
func reachable(s *record.Snapshot, self *record.Host, peers []overlay.Peer) (*record.Snapshot, error) {
	blocks := map[string]*record.Host{self.Key(): self}
	for _, p := range peers {
		blocks[p.ID] = s.Hosts[p.ID]
	}
	changed := map[string]*record.Endpoint{} // by key; nil: left out
	var misplaced []error
	for key, ep := range s.Endpoints {
		fits, err := placed(ep, blocks[ep.Host])
		if fits != ep {
			changed[key] = fits
		}
		if err != nil {
			misplaced = append(misplaced, problem.About(ep.Host, err))
		}
	}
	if len(changed) == 0 {
		return s, nil
	}
	kept := *s
	kept.Endpoints = maps.Clone(s.Endpoints)
	for key, ep := range changed {
		if kept.Endpoints[key] = ep; ep == nil {
			delete(kept.Endpoints, key)
		}
	}
	return &kept, errors.Join(misplaced...)
}

// placed returns ep with those of its addresses that are in the blocks of its host h, or
// nil if it has none there. A nil h means that the host is no peer. While this host has no
// block, placed does not check the addresses of its containers.
func placed(ep *record.Endpoint, h *record.Host) (*record.Endpoint, error) {
	switch {
	case h == nil:
		return nil, nil
	case !h.Block4.IsValid():
		return ep, nil
	case ep.Addr4.IsValid() && !h.Block4.Contains(ep.Addr4):
		return nil, outside(h, ep, ep.Addr4, h.Block4)
	case ep.Addr6.IsValid() && !h.Block6.Contains(ep.Addr6):
		without := *ep
		without.Addr6 = netip.Addr{}
		return &without, outside(h, ep, ep.Addr6, h.Block6)
	}
	return ep, nil
}

func outside(h *record.Host, ep *record.Endpoint, addr netip.Addr, own netip.Prefix) error {
	if !own.IsValid() {
		return fmt.Errorf("host %s announces %s at %s, but has no block of that kind", h.Name, describe(ep), addr)
	}
	return fmt.Errorf("host %s announces %s at %s, which is outside of its block %s", h.Name, describe(ep), addr, own)
}
