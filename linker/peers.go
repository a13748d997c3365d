package linker

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"tombolo/linker/block"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// peers returns the other hosts to which this one sends packets, sorted by name. It
// leaves out hosts without a block and hosts whose block is outside the pool, because
// they would receive traffic that does not belong to the overlay; the error names the
// latter. Of hosts with overlapping blocks it returns the one with the oldest claim, so
// that every host sends to the same one.
func peers(s *record.Snapshot, self *record.Host, pool4, pool6 netip.Prefix) ([]overlay.Peer, error) {
	var out []overlay.Peer
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.Hosts)) {
		h := s.Hosts[name]
		if name == self.Name || !h.Block4.IsValid() {
			continue
		}
		if !block.Within(h.Block4, pool4) {
			errs = append(errs, fmt.Errorf("host %s uses another pool: its block %s is outside of %s", name, h.Block4, pool4))
			continue
		}
		if h.Block4.Overlaps(self.Block4) || block.OlderClaim(s, pool4, h) != nil {
			continue
		}
		p := peer(h)
		if pool6.IsValid() && h.Block6.IsValid() && !block.Within(h.Block6, pool6) {
			errs = append(errs, fmt.Errorf("host %s uses another IPv6 pool: its block %s is outside of %s", name, h.Block6, pool6))
			p.Block6, p.Overlay6 = netip.Prefix{}, netip.Addr{}
		}
		out = append(out, p)
	}
	return out, errors.Join(errs...)
}

func peer(h *record.Host) overlay.Peer {
	mac, err := net.ParseMAC(h.MAC)
	if err != nil && h.Overlay4.IsValid() {
		mac = overlay.HardwareAddr(h.Overlay4) // which every linker of this version uses
	}
	return overlay.Peer{
		Name: h.Name, Underlay: h.Underlay, Block4: h.Block4, Block6: h.Block6,
		Overlay4: h.Overlay4, Overlay6: h.Overlay6, MAC: mac,
	}
}

// reachable returns s without the endpoints of hosts that are no peers, except for
// hosts without a block: if two hosts claim one block, the addresses of the loser's
// containers now mean the winner's containers.
func reachable(s *record.Snapshot, self *record.Host, peers []overlay.Peer) *record.Snapshot {
	excluded := map[string]bool{}
	for name, h := range s.Hosts {
		excluded[name] = h.Block4.IsValid() && name != self.Name
	}
	for _, p := range peers {
		excluded[p.Name] = false
	}
	kept := *s
	kept.Endpoints = maps.Clone(s.Endpoints)
	maps.DeleteFunc(kept.Endpoints, func(_ string, ep *record.Endpoint) bool { return excluded[ep.Host] })
	if len(kept.Endpoints) == len(s.Endpoints) {
		return s
	}
	return &kept
}
