package linker

import (
	"net/netip"
	"strings"
	"testing"

	"tombolo/linker/attach"
)

// A container is who has its address now: not whoever had it, nor nobody.
func TestViewOfANewHolder(t *testing.T) {
	h := newTestHost(t, 15)
	h.start(t)
	h.client(t)
	eventually(t, "block used", func() bool { return h.block.Current() != nil })
	old := h.run(t, "web", labels("web"))
	eventually(t, "endpoint known", func() bool { return h.catalog.Snapshot().Endpoints[old] != nil })
	addr := h.catalog.Snapshot().Endpoints[old].Addr4
	if view, known := h.view(addr); !known || view == nil || len(view.Names) == 0 {
		t.Errorf("web sees %+v, %v", view, known)
	}
	if err := h.table.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if err := h.table.Create(t.Context(), attach.Endpoint{ID: strings.Repeat("ab", 32), Addr4: addr}); err != nil {
		t.Fatal(err)
	}
	if view, known := h.view(addr); !known || view != nil {
		t.Errorf("before Docker has said who it is it sees %+v, %v", view, known)
	}
	for who, want := range map[string]bool{"100.64.255.9": false, "198.18.0.1": false, "127.0.0.1": true, "169.254.1.1": true} {
		view, known := h.view(netip.MustParseAddr(who))
		if known != want || known != (view != nil) {
			t.Errorf("%s sees %+v, %v", who, view, known)
		}
	}
	h.stop()
}
