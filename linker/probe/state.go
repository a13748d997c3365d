package probe

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// The times of rounds.
const (
	tick        = 250 * time.Millisecond // between two looks at what is due, each of which begins at most one round
	suspectWait = 1500 * time.Millisecond
	linkedWait  = 5 * time.Second
	otherWait   = 4 * time.Minute        // where more peers have to be probed than time permits; else linkedWait
	answerWait  = 4 * time.Second        // for an answer; without one, a round says nothing
	shotWait    = time.Second            // of the receiver for shots that are missing
	starved     = 250 * time.Millisecond // if the receiver looks that much later, it had no CPU time, and waits again
	keepShots   = 10 * time.Second       // that arrive before their query
	maxKept     = 1024                   // shots kept at once
	newSocket   = 3 * time.Second        // a receiver that listens for less cannot tell what was lost before
	forgetAfter = 5 * time.Minute        // what a peer sent last, if it probes no more
)

// Peer is a host to which this one sends packets, and that gossip takes for alive.
type Peer struct {
	Name     string
	Underlay netip.Addr
	Addr     netip.Addr // its own IPv4 address in the overlay
	MTU      int        // bytes of the largest packet that its VXLAN device carries; 0: unknown
	Linked   bool       // its containers have to do with those of this host
}

// known is what the prober knows of a peer.
type known struct {
	peer     Peer
	out, in  path
	clock    clock
	began    time.Time // the last round in the outgoing direction
	observed time.Time // the last conclusion about the incoming direction
}

func (k *known) direction(outgoing bool) *path {
	if outgoing {
		return &k.out
	}
	return &k.in
}

// state is the part of a Prober that its Run owns. Its methods are given the time, and do not
// wait.
type state struct {
	last   []Peer // what setPeers was called with
	peers  map[string]*known
	mtus   map[string]int // of paths, as earlier runs found them, until the peer is known
	rounds map[roundID]outgoing
	shots  map[roundID]arrivals
	asked  []question
}

// outgoing is a round of this host that is not answered yet.
type outgoing struct {
	peer  string
	sizes []int
	began time.Time
}

// arrivals are the shots of a peer's round that have arrived.
type arrivals struct {
	from  netip.Addr
	sizes map[int]int // number -> size
	since time.Time
}

// question is a peer's query that waits for shots.
type question struct {
	peer string
	note
	due time.Time
}

func newState(mtus map[string]int) *state {
	if mtus == nil {
		mtus = map[string]int{}
	}
	return &state{peers: map[string]*known{}, mtus: mtus, rounds: map[roundID]outgoing{}, shots: map[roundID]arrivals{}}
}

// setPeers takes over the peers of now. It forgets what it concluded about others, but keeps the
// MTU of the path to them.
func (s *state) setPeers(peers []Peer, now time.Time) {
	if slices.Equal(peers, s.last) {
		return
	}
	s.last = peers
	present := map[string]bool{}
	for _, p := range peers {
		present[p.Name] = true
		k := s.peers[p.Name]
		if k == nil || k.peer.Addr != p.Addr || k.peer.Underlay != p.Underlay {
			k = &known{began: now.Add(-linkedWait)}
			if mtu := s.mtus[p.Name]; mtu > 0 {
				k.out = narrowed(mtu)
			}
			s.peers[p.Name] = k
		}
		k.peer = p
	}
	maps.DeleteFunc(s.peers, func(name string, _ *known) bool { return !present[name] })
}

// next returns the peer of the round that begins now, or nil. Suspicious paths come first, then
// peers with linked containers, then those that were not probed for longest.
func (s *state) next(now time.Time) (latest *known) {
	most := 1.0
	for _, k := range s.peers {
		late := s.lateness(k, now)
		if late > most || late == most && (latest == nil || k.peer.Name < latest.peer.Name) {
			latest, most = k, late
		}
	}
	return latest
}

// lateness is the time since the last round to a peer as a multiple of the time that should
// be between two.
func (s *state) lateness(k *known, now time.Time) float64 {
	every := linkedWait
	switch ample := len(s.peers) <= int(linkedWait/tick); {
	case k.out.suspect():
		every = suspectWait
	case !k.peer.Linked && !ample:
		every = otherWait
	}
	return float64(now.Sub(k.began)) / float64(every)
}

// begin begins a round.
func (s *state) begin(k *known, id roundID, mtu int, now time.Time) (sizes []int) {
	full := mtu
	if k.peer.MTU > 0 {
		full = min(full, k.peer.MTU)
	}
	k.began = now
	sizes = k.out.sizes(full)
	s.rounds[id] = outgoing{peer: k.peer.Name, sizes: sizes, began: now}
	return sizes
}

// answered draws the conclusions from a peer's answer.
func (s *state) answered(from string, n note, now time.Time) {
	r, ok := s.rounds[n.round]
	if !ok || r.peer != from {
		return
	}
	delete(s.rounds, n.round)
	k := s.peers[from]
	if k != nil {
		k.clock.observe(time.UnixMilli(n.clock), r.began, now.Sub(r.began))
	}
	if k != nil && n.known {
		k.out.observe(resultOf(r.sizes, n.arrived))
		if s.mtus[from] = k.out.mtu(); s.mtus[from] == 0 {
			delete(s.mtus, from)
		}
	}
}

func resultOf(sizes []int, arrived uint16) result {
	r := result{sizes: sizes}
	for i := range sizes {
		r.arrived = append(r.arrived, arrived&(1<<i) != 0)
	}
	return r
}

// received notes a shot that has arrived from the address of a peer. Others are ignored.
func (s *state) received(from netip.Addr, shot shot, now time.Time) {
	a, ok := s.shots[shot.round]
	if !ok {
		if len(s.shots) >= maxKept || !s.isPeer(from) {
			return
		}
		a = arrivals{from: from, sizes: map[int]int{}, since: now}
		s.shots[shot.round] = a
	}
	if a.from == from {
		a.sizes[shot.number] = shot.size
	}
}

func (s *state) isPeer(addr netip.Addr) bool {
	for _, k := range s.peers {
		if k.peer.Addr == addr {
			return true
		}
	}
	return false
}

// query notes a peer's query, which is answered once all shots have arrived or the time is over.
func (s *state) query(from string, n note, now time.Time) {
	if len(s.asked) < maxKept {
		s.asked = append(s.asked, question{peer: from, note: n, due: now.Add(shotWait)})
	}
}

// answers returns the answers that are due, and draws the conclusions from them. listens is when
// this host began to listen; zero: it does not.
func (s *state) answers(listens, now time.Time) map[string][]note {
	out := map[string][]note{}
	s.asked = slices.DeleteFunc(s.asked, func(q question) bool {
		arrived, complete := s.arrivedOf(q)
		switch {
		case !complete && now.Before(q.due):
			return false
		case !complete && now.Sub(q.due) > starved+tick:
			return false // see wait
		}
		k := s.peers[q.peer]
		answer := note{round: q.round, arrived: arrived, clock: now.UnixMilli(), known: complete || k != nil && !listens.IsZero() && now.Sub(listens) >= newSocket}
		if answer.known && k != nil {
			k.in.observe(resultOf(q.sizes, arrived))
			k.observed = now
		}
		delete(s.shots, q.round)
		out[q.peer] = append(out[q.peer], answer)
		return true
	})
	for i := range s.asked {
		if q := &s.asked[i]; now.Sub(q.due) > starved+tick {
			q.due = now.Add(shotWait)
		}
	}
	return out
}

// arrivedOf returns the bits of the shots of a query that have arrived, and whether all have.
func (s *state) arrivedOf(q question) (bits uint16, complete bool) {
	k, a := s.peers[q.peer], s.shots[q.round]
	if k == nil || a.from != k.peer.Addr {
		return 0, false
	}
	complete = true
	for i, size := range q.sizes {
		if a.sizes[i] == size {
			bits |= 1 << i
		} else {
			complete = false
		}
	}
	return bits, complete
}

// expire forgets rounds without an answer, shots without a query, and old conclusions.
func (s *state) expire(now time.Time) {
	maps.DeleteFunc(s.rounds, func(_ roundID, r outgoing) bool { return now.Sub(r.began) > answerWait })
	maps.DeleteFunc(s.shots, func(_ roundID, a arrivals) bool { return now.Sub(a.since) > keepShots })
	for _, k := range s.peers {
		if now.Sub(k.observed) > forgetAfter {
			k.in = path{}
		}
	}
}
