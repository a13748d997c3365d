package linker

import (
	"net/netip"

	"tombolo/linker/ipam"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// hostAsker is the key of the host's own view; no endpoint has that ID.
const hostAsker = ""

// View implements dns.Viewer. Besides this host's containers, the host itself asks.
// Who has an address is known by the table of endpoints, and who that is by its
// record: one may be there before the other, and the record of the address' former
// holder may still be there too. Anything but a container and the host is nobody.
func (w *worlds) View(from netip.Addr) (view *record.View, known bool) {
	if id, ok := w.l.table.EndpointAt(from); ok {
		return w.get().view(id), true
	}
	if from.IsLoopback() || from == overlay.Gateway4 {
		return w.get().view(hostAsker), true
	}
	c := w.l.claimed.Load()
	if c == nil {
		return nil, false
	}
	for _, block := range []netip.Prefix{c.Block4, c.Block6} {
		switch {
		case from == ipam.HostAddr(block):
			return w.get().view(hostAsker), true
		case block.Contains(from):
			return nil, true // the table was lost, and Docker has not said yet
		}
	}
	return nil, false
}

// view is computed when it is first asked for, and is the same from then on. It is
// nil for an endpoint that no record describes as this host's.
func (w *world) view(asker string) *record.View {
	w.mu.Lock()
	defer w.mu.Unlock()
	if have := w.views[asker]; have != nil {
		return have
	}
	var made record.View
	switch ep := w.s.Endpoints[asker]; {
	case asker == hostAsker:
		made = w.HostView()
	case ep == nil || ep.Host != w.self:
		return nil
	default:
		made = w.Names(asker)
	}
	w.views[asker] = &made
	return &made
}
