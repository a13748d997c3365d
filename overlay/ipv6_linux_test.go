package overlay

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// keep calls Run of the host's Overlay. Run ends with the test or when stop is called.
func (h *labHost) keep() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	o := h.overlay
	go func() { ended <- o.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Errorf("Run = %v, want nil", err)
		}
		ended <- nil // for the next call of stop
	}
	h.t.Cleanup(stop)
	return stop
}

// sandbox creates a network namespace without IPv6, as Docker does, and returns it with its path.
func sandbox(t testing.TB) (netns.NsHandle, string) {
	t.Helper()
	box := newNamespace(t)
	enter(t, box, func() { must(t, setSysctl("ipv6/conf/all/disable_ipv6", "1")) })
	return box, fmt.Sprintf("/proc/self/fd/%d", int(box))
}

// attach creates the interface, which Docker has not moved yet.
func (h *labHost) attach(e Endpoint) {
	h.t.Helper()
	h.config.Endpoints = append(h.config.Endpoints, e)
	_, err := h.overlay.Attach(h.t.Context(), e)
	must(h.t, err)
}

// populate moves e's interface into its sandbox, as Docker does for an IPv4 network.
func (h *labHost) populate(e Endpoint, box netns.NsHandle) {
	h.t.Helper()
	name := ContainerSide(e.ID)
	enter(h.t, h.ns, func() {
		link, err := netlink.LinkByName(name)
		must(h.t, err)
		must(h.t, netlink.LinkSetNsFd(link, int(box)))
	})
	enter(h.t, box, func() {
		link, err := netlink.LinkByName(name)
		must(h.t, err)
		must(h.t, netlink.LinkSetName(link, "eth0"))
		addAddr(h.t, "eth0", hostPrefix(e.Addr4))
		up(h.t, "eth0")
	})
}

// has6 reports whether e's container has everything that IPv6 needs.
func has6(t *testing.T, box netns.NsHandle, e Endpoint) bool {
	t.Helper()
	state := string(runIn(t, box, "ip -6 addr; ip -6 route"))
	for _, want := range []string{"inet6 ::1/128", "inet6 " + e.Addr6.String() + "/128", "default via fe80::1 dev eth0"} {
		if !strings.Contains(state, want) {
			return false
		}
	}
	return true
}

func TestContainersGetIPv6(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	var boxes []netns.NsHandle
	var eps []Endpoint
	for _, h := range l.hosts {
		e := h.endpoint(5)
		var box netns.NsHandle
		box, e.Sandbox = sandbox(t)
		h.set()
		h.keep()
		h.attach(e)
		if has6(t, box, e) {
			t.Fatal("the container has IPv6 before it has an interface")
		}
		h.populate(e, box)
		waitFor(t, "the container had IPv6", func() bool { return has6(t, box, e) })
		boxes, eps = append(boxes, box), append(eps, e)
	}
	l.hosts[1].config.Groups = []Group{allow(eps[0].Addr6, eps[1].Addr6)}
	l.hosts[1].set()
	listen(t, boxes[1], at(eps[1].Addr6, 80))
	reaches(t, boxes[0], "tcp6", at(eps[1].Addr6, 80), eps[0].Addr6.String())
}

// A linker gives IPv6 to containers whose previous linker was killed before or while it did so.
func TestIPv6AfterARestart(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	e := h.endpoint(5)
	var box netns.NsHandle
	box, e.Sandbox = sandbox(t)
	h.set()
	h.attach(e)
	for _, meanwhile := range []func(){
		func() { h.populate(e, box) },
		func() { runIn(t, box, "ip -6 addr flush dev eth0") },
	} {
		meanwhile()
		if has6(t, box, e) {
			t.Fatal("the container has IPv6 although nothing has given it")
		}
		h.restart()
		h.set()
		stop := h.keep()
		waitFor(t, "the container had IPv6", func() bool { return has6(t, box, e) })
		stop()
	}
}

// Equip gives the container everything before it returns, also while no Run is there and the
// kernel has not announced a carrier. Before Docker has moved the interface it does nothing.
func TestEquipDoesNotWaitForEvents(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	listen(t, h.ns, at(Gateway4, 53))
	e := h.endpoint(5)
	var box netns.NsHandle
	box, e.Sandbox = sandbox(t)
	h.attach(e)
	for _, early := range []Endpoint{e, {ID: e.ID, Addr4: e.Addr4, Sandbox: "/nowhere/to/be/found"}} {
		must(t, h.overlay.Equip(t.Context(), early))
	}
	if failed := h.overlay.failedVisits(); len(failed) != 0 {
		t.Errorf("Equip before Docker has moved the interface failed: %v", failed)
	}
	h.populate(e, box)
	runIn(t, box, "ip route add 169.254.1.1 dev eth0 scope link && ip route add default via 169.254.1.1")
	must(t, h.overlay.Equip(t.Context(), e))
	if !has6(t, box, e) {
		t.Error("the container has no IPv6 after Equip")
	}
	listen(t, box, randomPort)
	mustBeGuarded(t, box, e)
}

// A sandbox that cannot be entered does not keep other containers from getting IPv6.
func TestAMissingSandboxAffectsOnlyItsContainer(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	lost, fine := h.endpoint(5), h.endpoint(6)
	lostBox, _ := sandbox(t)
	lost.Sandbox = "/nowhere/to/be/found"
	var fineBox netns.NsHandle
	fineBox, fine.Sandbox = sandbox(t)
	h.set()
	h.keep()
	h.attach(lost)
	h.attach(fine)
	h.populate(lost, lostBox)
	h.populate(fine, fineBox)
	waitFor(t, "the other container had IPv6", func() bool { return has6(t, fineBox, fine) })
	waitFor(t, "the failure was recorded", func() bool {
		h.overlay.mu.Lock()
		defer h.overlay.mu.Unlock()
		return h.overlay.sandboxes[lost.ID].err != nil && h.overlay.sandboxes[fine.ID].err == nil
	})
	if got, _ := h.overlay.unequipped(true); len(got) != 2 {
		t.Errorf("unequipped(true) has %d containers, want 2", len(got))
	}
	must(t, h.overlay.Detach(t.Context(), lost.ID))
	h.config.Endpoints = h.config.Endpoints[1:]
	h.set()
	if got, _ := h.overlay.unequipped(true); len(got) != 1 || got[0].ID != fine.ID {
		t.Errorf("unequipped has not only the endpoint that is attached: %v", got)
	}
}

// Run leaves endpoints alone that have no path of a sandbox, and gives no IPv6 without an address.
func TestSomeContainersAreNotEquipped(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	adopted, only4 := h.endpoint(5), h.endpoint(6)
	only4.Addr6, only4.Sandbox = netip.Addr{}, "/run/docker/netns/x"
	if got, _ := h.overlay.unequipped(true); got != nil {
		t.Errorf("unequipped before the first Set = %v, want nothing", got)
	}
	h.config.Endpoints = []Endpoint{adopted, only4}
	h.set()
	if got, _ := h.overlay.unequipped(true); len(got) != 1 || got[0].ID != only4.ID {
		t.Errorf("unequipped = %v, want only the endpoint with a sandbox", got)
	}
}
