package linker

import (
	"fmt"
	"strings"
	"testing"
)

// Every host reports a machine whose name is taken, and that machine takes nothing from
// the host that had the name first.
func TestTwoMachinesWithOneName(t *testing.T) {
	a, b, twin := newTestHost(t, 7), newTestHost(t, 8), newTestHost(t, 9)
	twin.cfg.Host = b.cfg.Host
	b.cfg.Join = []string{a.cfg.Underlay.String()}
	twin.cfg.Join = b.cfg.Join
	a.start(t)
	b.start(t)
	a.awaitBlock(t)
	block4 := b.awaitBlock(t)
	eventually(t, "the first two hosts know each other", func() bool { return a.catalog.Snapshot().Hosts["h8"] != nil })
	twin.start(t)
	for _, h := range []*testHost{a, twin} { // those that hear from both machines
		c := h.client(t)
		eventually(t, "the status of "+h.cfg.Underlay.String()+" names the conflict", func() bool {
			st, err := c.Status(t.Context())
			return err == nil && !st.Ready && strings.Contains(fmt.Sprint(st.Problems), "h8")
		})
	}
	if h := a.catalog.Snapshot().Hosts["h8"]; h.Block4 != block4 || h.Underlay != b.cfg.Underlay || twin.block.Current() != nil {
		t.Errorf("h8 is now at %s with block %s and its twin has block %v, want the first h8 at %s with %s and no block for the twin",
			h.Underlay, h.Block4, twin.block.Current(), b.cfg.Underlay, block4)
	}
	for _, h := range []*testHost{a, b, twin} {
		h.stop()
	}
}
