package overlay

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

// A change of policy alone, which every container causes, does not check the routes. A repeated
// Set does, and so does one with an endpoint that was detached.
func TestAChangeOfPolicyDoesNotCheckRoutes(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	e := h.endpoint(5)
	h.run(e)
	h.set()
	breaks := func() { runIn(t, h.ns, "ip route del "+e.Addr4.String()) }
	routed := func() bool { return strings.Contains(string(runIn(t, h.ns, "ip route")), e.Addr4.String()+" dev") }

	breaks()
	h.config.Groups = []Group{allow(netip.MustParseAddr("100.64.9.9"), e.Addr4)}
	h.set()
	if routed() {
		t.Error("Set restored a route although only the policy had changed")
	}
	if got := string(runIn(t, h.ns, "nft list set inet tombolo senders4")); !strings.Contains(got, "100.64.9.9") {
		t.Errorf("the new permission is not in the set senders4: %s", got)
	}
	h.set()
	if !routed() {
		t.Error("a repeated Set did not restore the route")
	}

	second := h.endpoint(6)
	h.run(second)
	must(t, h.overlay.Detach(t.Context(), second.ID))
	breaks()
	h.set() // the Config still has the second endpoint
	if !routed() {
		t.Error("Set with a detached endpoint did not restore the route")
	}
	h.config.Endpoints = h.config.Endpoints[:1]
	breaks()
	h.set()
	if !routed() {
		t.Error("Set with one endpoint less did not restore the route")
	}
	h.restart()
	breaks()
	h.set()
	if !routed() {
		t.Error("the first Set after a restart did not restore the route")
	}
}

// When Detach returns, nobody can find the interface any more, and its name is free.
func TestDetachedInterfaceIsGone(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	e := h.endpoint(5)
	for range 5 {
		box := h.run(e)
		must(t, h.overlay.Detach(t.Context(), e.ID))
		if got := string(runIn(t, h.ns, "ip -o link; ip route")); strings.Contains(got, HostSide(e.ID)) {
			t.Errorf("the interface is still on the host: %s", got)
		}
		if got := string(runIn(t, box, "ip -o link")); strings.Contains(got, "eth0") {
			t.Errorf("the interface is still in the container: %s", got)
		}
	}
}

// Rules that another tool breaks while we write the table are not mistaken for our own.
func TestRulesBrokenWhileTheyAreWrittenAreRepaired(t *testing.T) {
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
			t.Fatalf("Set mistook the broken rules for ours and did not repair them: %s", got)
		}
	}
}
