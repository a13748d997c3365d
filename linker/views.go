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
	kept     map[string]*record.View
}

// hostAsker is the key of the host's own view; no endpoint has that ID.
const hostAsker = ""

// View implements dns.Viewer. Besides this host's containers, the host itself asks.
// Who has an address is known by the table of endpoints, and who that is by its
// record: one may be there before the other, and the record of the address' former
// holder may still be there too. Anything but a container and the host is nobody.
func (v *views) View(from netip.Addr) (view *record.View, known bool) {
	if id, ok := v.l.table.Holder(from); ok {
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
			return nil, true // the table was lost, and Docker has not said yet
		}
	}
	return nil, false
}

// view is nil for an endpoint that no record describes yet.
func (v *views) view(asker string) *record.View {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.l.catalog.Snapshot(); s != v.of {
		v.of, v.relation, v.kept = s, reach.Of(s), map[string]*record.View{}
	}
	if have := v.kept[asker]; have != nil {
		return have
	}
	var made record.View
	switch ep := v.of.Endpoints[asker]; {
	case asker == hostAsker:
		made = v.relation.HostView()
	case ep == nil || ep.Host != v.l.cfg.Host:
		return nil
	default:
		made = v.relation.Names(asker)
	}
	v.kept[asker] = &made
	return &made
}
