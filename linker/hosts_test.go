package linker

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tombolo/linker/api"
)

// A host is gone for good. When it is forgotten, its block is free, nobody waits for it, and its
// records do not come back with it: it returns with another identity and keeps its containers.
func TestAForgottenHostReturnsAsAnother(t *testing.T) {
	a, b := newTestHost(t, 46), newTestHost(t, 47)
	b.cfg.Join = []string{a.cfg.Underlay.String()}
	a.cfg.RestartWindow, b.cfg.RestartWindow = time.Millisecond, time.Millisecond
	a.start(t)
	b.start(t)
	a.awaitBlock(t)
	block4 := b.awaitBlock(t)
	web := b.run(t, "web", labels("web"))
	eventually(t, "web is announced", func() bool { return a.catalog.Snapshot().Endpoints["h47/"+web] != nil })
	c := a.client(t)
	for name, want := range map[string]string{"h47": "is alive", "h46": "is this host", "nobody": "no host is named"} {
		if _, err := c.ForgetHost(t.Context(), name, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("forgetting %s returned %v, want an error that says %q", name, err, want)
		}
	}
	b.stop()
	eventually(t, "the host is suspended", func() bool { return a.catalog.Snapshot().Suspended["h47"] })
	if h, err := c.ForgetHost(t.Context(), "h47", false); err != nil || h.ID != "h47" {
		t.Fatalf("ForgetHost returned %+v and %v", h, err)
	}
	if s := a.catalog.Snapshot(); s.Hosts["h47"] != nil || s.Endpoints["h47/"+web] != nil || len(s.Suspended) > 0 {
		t.Errorf("after the host was forgotten, the catalog has %v, %v and %v", s.Hosts, s.Endpoints, s.Suspended)
	}
	eventually(t, "nobody waits for it", func() bool { return len(a.state.get().Members) == 0 && len(a.gossip.Members()) == 0 })
	if _, err := c.ForgetHost(t.Context(), "h47", false); err == nil || !strings.Contains(err.Error(), "forgotten before") {
		t.Errorf("forgetting it again returned %v", err)
	}

	if err := <-b.startOn(t.Context(), t, newPlane()); err != nil { // it learns that it was forgotten; its supervisor starts it again
		t.Fatalf("Run returned %v, want nil", err)
	}
	b.start(t)
	if got := b.awaitBlock(t); got != block4 || b.host.id == "h47" {
		t.Errorf("the host came back as %s with block %s, want another identity and %s, which is still free", b.host.id, got, block4)
	}
	eventually(t, "its container is announced by the new identity", func() bool {
		ep := a.catalog.Snapshot().Endpoints[b.host.id+"/"+web]
		return ep != nil && ep.Running
	})
	if s := a.catalog.Snapshot(); s.Hosts["h47"] != nil || s.Endpoints["h47/"+web] != nil {
		t.Error("records of the forgotten identity came back")
	}
	eventually(t, "h46 and the new h47 are alive, and the old one left", func() bool {
		all, err := c.Hosts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]string{}
		for _, h := range all {
			states[h.Name+" "+h.ID] = h.State
		}
		return states["h47 h47"] == api.HostLeft && states["h47 "+b.host.id] == api.HostAlive && states["h46 h46"] == api.HostAlive
	})
	a.stop()
	b.stop()
}

// A majority of the known hosts is gone for good. Once they are forgotten, the rest claims blocks
// again.
func TestForgottenHostsLeaveTheMajorityToTheRest(t *testing.T) {
	a, b, d := newTestHost(t, 48), newTestHost(t, 49), newTestHost(t, 50)
	for _, h := range []*testHost{b, d} {
		h.cfg.Join = []string{a.cfg.Underlay.String()}
	}
	for _, h := range []*testHost{a, b, d} {
		h.cfg.RestartWindow = time.Millisecond
		h.start(t)
		h.awaitBlock(t)
	}
	eventually(t, "the first knows all", func() bool { return len(a.state.get().Members) == 2 })
	for _, h := range []*testHost{a, b, d} {
		h.stop()
	}
	a.cfg.Pool4 = netip.MustParsePrefix("10.78.0.0/16") // drops its block
	a.start(t)
	eventually(t, "it waits for a majority", func() bool {
		return strings.Contains(fmt.Sprint(a.problems.List()), "only 1 of the 3 known hosts answer")
	})
	c := a.client(t)
	for _, name := range []string{"h49", "h50"} {
		eventually(t, name+" is forgotten", func() bool { _, err := c.ForgetHost(t.Context(), name, false); return err == nil })
	}
	a.awaitBlock(t)
	a.stop()
}
