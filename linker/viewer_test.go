package linker

import (
	"net/netip"
	"strings"
	"testing"

	"tombolo/linker/attach"
)

// The asker is the container that has the address now, not the one that had it before.
func TestViewOfAnAddressWithANewHolder(t *testing.T) {
	h := newTestHost(t, 15)
	h.start(t)
	h.awaitBlock(t)
	old := h.run(t, "web", labels("web"))
	eventually(t, "the endpoint is announced", func() bool { return h.localEndpoint(old) != nil })
	addr := h.localEndpoint(old).Addr4
	if view, known := h.view(addr); !known || view == nil || len(view.Names) == 0 {
		t.Errorf("web has the view %+v (known: %v), want one with names", view, known)
	}
	if err := h.table.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if err := h.table.Create(t.Context(), attach.Endpoint{ID: strings.Repeat("ab", 32), Addr4: addr}); err != nil {
		t.Fatal(err)
	}
	if view, known := h.view(addr); !known || view != nil {
		t.Errorf("before the new holder is identified it has the view %+v (known: %v), want known without a view", view, known)
	}
	for asker, want := range map[string]bool{"100.64.255.9": false, "198.18.0.1": false, "127.0.0.1": true, "169.254.1.1": true} {
		view, known := h.view(netip.MustParseAddr(asker))
		if known != want || known != (view != nil) {
			t.Errorf("%s has the view %+v (known: %v), want known: %v, with a view if known", asker, view, known, want)
		}
	}
	h.stop()
}
