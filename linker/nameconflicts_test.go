package linker

import (
	"strings"
	"testing"
)

// A machine that comes with a name that is taken is told so, as is everybody, and
// takes nothing from its holder.
func TestTwoMachinesOneName(t *testing.T) {
	a, b, twin := newTestHost(t, 7), newTestHost(t, 8), newTestHost(t, 9)
	twin.cfg.Host = b.cfg.Host
	b.cfg.Join = []string{a.cfg.Underlay.String()}
	twin.cfg.Join = b.cfg.Join
	a.start(t)
	b.start(t)
	eventually(t, "the first two have blocks", func() bool { return a.block.Current() != nil && b.block.Current() != nil })
	eventually(t, "they know each other", func() bool { return a.catalog.Snapshot().Hosts["h8"] != nil })
	block := b.block.Current().Block4
	twin.start(t)
	for _, h := range []*testHost{a, twin} { // whoever hears of both
		c := h.client(t)
		eventually(t, h.cfg.Underlay.String()+" says it", func() bool {
			st, err := c.Status(t.Context())
			return err == nil && !st.Ready && strings.Contains(strings.Join(st.Problems, "\n"), "h8")
		})
	}
	if h := a.catalog.Snapshot().Hosts["h8"]; h.Block4 != block || h.Underlay != b.cfg.Underlay || twin.block.Current() != nil {
		t.Errorf("h8 has now %s at %s", h.Block4, h.Underlay)
	}
	for _, h := range []*testHost{a, b, twin} {
		h.stop()
	}
}
