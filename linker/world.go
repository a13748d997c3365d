package linker

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// world is the catalog as this host acts on it: policy, answers and ports all derive
// from the same one. It does not change, but for the views that it keeps.
type world struct {
	self   string           // this host
	of     *record.Snapshot // all that is known
	mine   *claim           // this host's block, nil: none yet
	s      *record.Snapshot // without the endpoints of hosts that are left out
	peers  []overlay.Peer
	strays error // which hosts are left out for their pools
	*reach.Relation

	mu    sync.Mutex
	views map[string]*record.View // by endpoint ID
}

// worlds makes a world of the catalog, once for each change.
type worlds struct {
	l   *Linker
	now atomic.Pointer[world]
	mu  sync.Mutex // held while another world is made
}

func (w *worlds) get() *world {
	s, mine := w.l.catalog.Snapshot(), w.l.claimed.Load()
	if now := w.now.Load(); now != nil && now.of == s && now.mine == mine {
		return now
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now.Load(); now != nil && now.of == s && now.mine == mine {
		return now
	}
	next := newWorld(w.l, s, mine)
	w.now.Store(next)
	return next
}

func newWorld(l *Linker, s *record.Snapshot, mine *claim) *world {
	w := &world{self: l.cfg.Host, of: s, mine: mine, views: map[string]*record.View{}}
	var c claim
	if mine != nil {
		c = *mine
	}
	own := l.host(c, time.Time{})
	w.peers, w.strays = peers(s, own, l.cfg.Pool4, l.pool6(c))
	w.s = reachable(s, own, w.peers)
	w.Relation = reach.Of(w.s)
	return w
}

// reachable is s without the endpoints of hosts to which no packet goes: of two hosts
// that hold one block, what the other's containers may or answer to would be said of
// somebody else, who has the same address.
func reachable(s *record.Snapshot, own *record.Host, peers []overlay.Peer) *record.Snapshot {
	lost := map[string]bool{}
	for name, h := range s.Hosts {
		lost[name] = h.Block4.IsValid() && name != own.Name
	}
	for _, p := range peers {
		lost[p.Name] = false
	}
	kept := *s
	kept.Endpoints = maps.Clone(s.Endpoints)
	maps.DeleteFunc(kept.Endpoints, func(_ string, ep *record.Endpoint) bool { return lost[ep.Host] })
	if len(kept.Endpoints) == len(s.Endpoints) {
		return s
	}
	return &kept
}
