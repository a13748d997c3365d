package linker

import (
	"net/netip"
	"sync"

	"tombolo/linker/ipam"
	"tombolo/linker/reach"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// views answers who may see what, for DNS. It computes a view when it is first
// asked for and keeps it until the catalog changes.
type views struct {
	l *Linker

	mu       sync.Mutex
	of       *record.Snapshot // what all below was computed from
	relation *reach.Relation
	holders  map[netip.Addr]string // address -> ID of this host's endpoint
	kept     map[string]*record.View
}

// hostAsker is the key of the host's own view; no endpoint has that ID.
const hostAsker = ""

// View implements dns.Viewer. Besides this host's containers, the host itself asks.
// An address of our block whose holder is not known yet, or is foreign, sees
// nothing of ours; anything else gets no answer.
func (v *views) View(from netip.Addr) (*record.View, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refresh()
	if id, ok := v.holders[from]; ok {
		return v.view(id), true
	}
	if from.IsLoopback() || from == overlay.Gateway4 {
		return v.view(hostAsker), true
	}
	c := v.l.claimed.Load()
	if c == nil {
		return nil, false
	}
	for _, block := range []netip.Prefix{c.Block4, c.Block6} {
		switch {
		case from == ipam.HostAddr(block):
			return v.view(hostAsker), true
		case block.Contains(from):
			return &nothing, true
		}
	}
	return nil, false
}

var nothing = record.View{Internal: true}

// refresh starts anew when the catalog has changed.
func (v *views) refresh() {
	s := v.l.catalog.Snapshot()
	if s == v.of {
		return
	}
	v.of, v.relation = s, reach.Of(s)
	v.holders, v.kept = map[netip.Addr]string{}, map[string]*record.View{}
	for id, ep := range s.Endpoints {
		if ep.Host == v.l.cfg.Host {
			v.holders[ep.Addr4] = id
			v.holders[ep.Addr6] = id
		}
	}
	delete(v.holders, netip.Addr{})
}

func (v *views) view(asker string) *record.View {
	if have := v.kept[asker]; have != nil {
		return have
	}
	var made record.View
	if asker == hostAsker {
		made = v.relation.HostView()
	} else {
		made = v.relation.Names(asker)
	}
	v.kept[asker] = &made
	return &made
}
