package linker

import (
	"errors"
	"net/netip"
	"testing"

	"tombolo/linker/block"
)

func TestRandomPool6(t *testing.T) {
	a, b := RandomPool6(), RandomPool6()
	if a == b {
		t.Errorf("%s twice", a)
	}
	for range 100 {
		pool := RandomPool6()
		if err := (Config{Host: "h1", Underlay: netip.MustParseAddr("198.18.0.11"), Pool6: pool}).Validate(); err != nil || !pool.Addr().IsPrivate() {
			t.Errorf("%s: %v", pool, err)
		}
	}
}

// Another --pool6 costs containers of the old one their IPv6, and nothing else.
func TestPool6Changes(t *testing.T) {
	h := newTestHost(t, 14)
	h.cfg.Pool6 = netip.MustParsePrefix("fd00:1:2::/48")
	h.start(t)
	eventually(t, "block used", func() bool { return h.block.Current() != nil })
	id := h.run(t, "web", labels("web"))
	eventually(t, "endpoint known", func() bool {
		e := h.catalog.Snapshot().Endpoints[id]
		return e != nil && e.Running && e.Addr6.IsValid()
	})
	block4 := h.block.Current().Block4
	h.stop()

	h.cfg.Pool6 = netip.MustParsePrefix("fd00:9:9::/48")
	h.start(t)
	set := <-h.plane.set
	if err := set.Validate(); err != nil || set.Pool6.IsValid() || set.Self.Block4 != block4 || len(set.Endpoints) != 1 || set.Endpoints[0].Addr6.IsValid() {
		t.Errorf("%v: %+v", err, set)
	}
	eventually(t, "announced without IPv6", func() bool {
		s := h.catalog.Snapshot()
		host, ep := s.Hosts[h.cfg.Host], s.Endpoints[id]
		return host != nil && ep != nil && !host.Block6.IsValid() && !ep.Addr6.IsValid()
	})
	if err := errors.Join(h.table.Delete(t.Context(), id), h.table.Release(set.Endpoints[0].Addr4)); err != nil {
		t.Fatal(err)
	}
	h.stop()

	h.start(t) // with nobody left who needs the old one
	eventually(t, "a block of both pools", func() bool {
		c := h.block.Current()
		return c != nil && block.Within(c.Block6, h.cfg.Pool6)
	})
	h.stop()
}
