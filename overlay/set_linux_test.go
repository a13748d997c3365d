package overlay

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

// A change of policy alone looks at nothing else, as it comes with every container;
// a repeat does, and so does the change after a Detach that was never told of.
func TestSetLooksNoFurtherThanNeeded(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	e := h.endpoint(5)
	h.run(e)
	h.set()
	breaks := func() { runIn(t, h.ns, "ip route del "+e.Addr4.String()) }
	routed := func() bool { return strings.Contains(string(runIn(t, h.ns, "ip route")), e.Addr4.String()+" dev") }

	breaks()
	h.config.Allow = []Allow{{From: netip.MustParseAddr("100.64.9.9"), To: e.Addr4}}
	h.set()
	if routed() {
		t.Error("a change of policy looked at the routes")
	}
	if got := string(runIn(t, h.ns, "nft list set inet tombolo pairs4")); !strings.Contains(got, "100.64.9.9") {
		t.Errorf("the policy is not set: %s", got)
	}
	h.set()
	if !routed() {
		t.Error("a repeated Set did not mend the routes")
	}

	second := h.endpoint(6)
	h.run(second)
	must(t, h.overlay.Detach(t.Context(), second.ID))
	breaks()
	h.set() // with second
	if !routed() {
		t.Error("an endpoint that is not there was not looked for")
	}
	h.config.Endpoints = h.config.Endpoints[:1]
	breaks()
	h.set()
	if !routed() {
		t.Error("an endpoint less was not looked for")
	}
	h.restart()
	breaks()
	h.set()
	if !routed() {
		t.Error("the first Set did not mend the routes")
	}
}

// The interface is out of sight when Detach returns, and its name free.
func TestDetachedInterfaceIsGone(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	e := h.endpoint(5)
	for range 5 {
		box := h.run(e)
		must(t, h.overlay.Detach(t.Context(), e.ID))
		if got := string(runIn(t, h.ns, "ip -o link; ip route")); strings.Contains(got, HostSide(e.ID)) {
			t.Errorf("still on the host: %s", got)
		}
		if got := string(runIn(t, box, "ip -o link")); strings.Contains(got, "eth0") {
			t.Errorf("still in the container: %s", got)
		}
	}
}

// What another tool breaks while the table is being written is not taken for ours.
func TestReplaceAmongOthersChanges(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	for range 10 {
		broken := make(chan struct{})
		go func() {
			defer close(broken)
			_ = inside(h.ns, func() error {
				return exec.Command("sh", "-c", "for i in 1 2 3 4 5 6; do nft flush chain inet tombolo source; done").Run()
			})
		}()
		h.restart()
		h.set()
		<-broken
		h.set()
		if got := string(runIn(t, h.ns, "nft list chain inet tombolo source")); !strings.Contains(got, "goto source_container") {
			t.Fatalf("broken rules are taken for ours: %s", got)
		}
	}
}
