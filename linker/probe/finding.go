package probe

import (
	"cmp"
	"net/netip"
	"slices"
)

// Found is all that holds now.
type Found struct {
	Paths  []Finding
	Clocks []Skew
	Err    error // why nothing can be found out; nil: something can
}

// Finding is a direction between this host and a peer in which packets do not pass.
type Finding struct {
	Peer     string     // name of the peer
	Underlay netip.Addr // its address
	Outgoing bool       // the direction is from this host to the peer

	// MTU is the size in bytes of the largest IP packet that passes in the overlay; 0: none
	// passes. Full is the size that the interfaces of both hosts carry.
	MTU, Full int
}

// finding returns what a path concludes about a direction; ok is false if it is sound.
func (p *path) finding(peer Peer, outgoing bool) (f Finding, ok bool) {
	f = Finding{Peer: peer.Name, Underlay: peer.Underlay, Outgoing: outgoing, Full: p.full}
	if p.narrow && !p.broken {
		f.MTU = max(p.passes, smallShot)
	}
	return f, p.broken || p.narrow
}

// findings returns what holds now, sorted by peer, the outgoing direction first.
func (s *state) findings() []Finding {
	var all []Finding
	for _, k := range s.peers {
		for _, outgoing := range []bool{true, false} {
			if f, ok := k.direction(outgoing).finding(k.peer, outgoing); ok {
				all = append(all, f)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Compare(a.Peer, b.Peer) })
	return all
}
