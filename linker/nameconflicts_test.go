package linker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A machine was made from a copy of another one's disk. Every host says so, and the copy takes
// nothing from the original.
func TestTwoMachinesWithOneIdentity(t *testing.T) {
	a, b, twin := newTestHost(t, 7), newTestHost(t, 8), newTestHost(t, 9)
	twin.cfg.Host = b.cfg.Host
	copyState(t, b, twin)
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
			return err == nil && !st.Ready && strings.Contains(fmt.Sprint(st.Problems), "host-identity-taken h8")
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

// copyState gives a host the state folder of another one, as a copy of its disk has it.
func copyState(t *testing.T, from, to *testHost) {
	t.Helper()
	if err := os.RemoveAll(to.cfg.StateDir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to.cfg.StateDir, os.DirFS(from.cfg.StateDir)); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(to.cfg.StateDir, "lock"))
}

// Two machines have one name: both work, and every host names them.
func TestTwoMachinesWithOneName(t *testing.T) {
	a, b := newTestHost(t, 40), newTestHost(t, 41)
	a.cfg.Host, b.cfg.Host, b.cfg.Join = "twin", "twin", []string{a.cfg.Underlay.String()}
	a.start(t)
	b.start(t)
	if x, y := a.awaitBlock(t), b.awaitBlock(t); x == y {
		t.Errorf("both have the block %s", x)
	}
	for _, h := range []*testHost{a, b} {
		c := h.client(t)
		eventually(t, "the status names both machines", func() bool {
			st, err := c.Status(t.Context())
			return err == nil && st.Ready && strings.Contains(fmt.Sprint(st.Problems), "127.77.0.40 (h40) and 127.77.0.41 (h41) both call themselves twin")
		})
		if r, err := c.Resolve(t.Context(), "twin.host", ""); err != nil || len(r.Targets) != 2 {
			t.Errorf("twin.host leads to %v (%v), want both machines", r.Targets, err)
		}
	}
	if _, err := a.client(t).ForgetHost(t.Context(), "twin", false); err == nil || !strings.Contains(err.Error(), "several hosts are named") {
		t.Errorf("forgetting twin returned %v, want an error that lists both", err)
	}
	a.stop()
	b.stop()
}
