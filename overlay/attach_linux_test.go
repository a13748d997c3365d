package overlay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

func TestAttachRepeatsButRefusesAnotherAddress(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	e := h.endpoint(5)
	if _, err := h.overlay.Attach(t.Context(), e); !errors.Is(err, ErrNotSet) {
		t.Errorf("Attach before the first Set = %v, want %v", err, ErrNotSet)
	}
	h.set()
	first, err := h.overlay.Attach(t.Context(), e)
	must(t, err)
	index := linkIndex(t, h.ns, first.Host)
	second, err := h.overlay.Attach(t.Context(), e)
	must(t, err)
	if diff := cmp.Diff(first, second); diff != "" || linkIndex(t, h.ns, first.Host) != index {
		t.Errorf("a repeated Attach made another interface (-first +second): %s", diff)
	}
	if mac := attrsOf(t, h.ns, first.Container).HardwareAddr; mac.String() != first.MAC.String() || first.MTU != 1450 {
		t.Errorf("the container's side has the MAC address %s and MTU %d, want %s and 1450", mac, first.MTU, first.MAC)
	}
	other := e
	other.Addr4 = h.endpoint(6).Addr4
	if _, err := h.overlay.Attach(t.Context(), other); !errors.Is(err, ErrExists) {
		t.Errorf("Attach with another address = %v, want %v", err, ErrExists)
	}
	h.config.Endpoints = []Endpoint{e}
	h.restart()
	h.set()
	if _, err := h.overlay.Attach(t.Context(), other); !errors.Is(err, ErrExists) {
		t.Errorf("Attach with another address after a restart = %v, want %v", err, ErrExists)
	}
	must(t, h.overlay.Detach(t.Context(), e.ID))
	must(t, h.overlay.Detach(t.Context(), e.ID))
	h.config.Endpoints = nil
	h.set()
	if _, err := h.overlay.Attach(t.Context(), other); err != nil {
		t.Errorf("Attach with another address after Detach = %v, want no error", err)
	}
	if _, err := h.overlay.Attach(t.Context(), Endpoint{ID: "none"}); err == nil {
		t.Error("Attach accepted an endpoint without an address")
	}
}

// Set removes the interfaces of ours that are in no Config and were not attached, and no others.
func TestSetRemovesLeftoverInterfaces(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	inConfig, attached, foreign := h.endpoint(5), h.endpoint(6), "tbridge0"
	for _, e := range []Endpoint{inConfig, attached} {
		_, err := h.overlay.Attach(t.Context(), e)
		must(t, err)
	}
	enter(t, h.ns, func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = foreign
		must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: foreign + "p"}))
	})
	exist := func(names ...string) {
		t.Helper()
		links := string(runIn(t, h.ns, "ip -br link"))
		for _, name := range []string{HostSide(inConfig.ID), HostSide(attached.ID), foreign} {
			want := false
			for _, n := range names {
				want = want || n == name
			}
			if got := strings.Contains(links, name+"@"); got != want {
				t.Errorf("%s exists: %t, want %t", name, got, want)
			}
		}
	}
	h.set() // with a Config from before both were attached
	exist(HostSide(inConfig.ID), HostSide(attached.ID), foreign)
	h.config.Endpoints = []Endpoint{inConfig}
	h.set()
	exist(HostSide(inConfig.ID), HostSide(attached.ID), foreign)
	h.restart() // now nothing remembers the attached one
	h.set()
	exist(HostSide(inConfig.ID), foreign)
	h.config.Endpoints = append(h.config.Endpoints, h.endpoint(7)) // an endpoint without an interface changes nothing
	h.set()
	exist(HostSide(inConfig.ID), foreign)
}

// The interface works as soon as Attach returns, even if another program has flushed the table.
func TestAttachWorksAfterTheTableWasFlushed(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	runIn(t, h.ns, "nft flush ruleset")
	e := h.endpoint(5)
	box := h.run(e)
	listen(t, box, ":80")
	reaches(t, h.ns, "tcp", at(e.Addr4, 80), h.Overlay4.String())
	if out := runIn(t, h.ns, "nft list set inet tombolo bound4"); !strings.Contains(string(out), e.Addr4.String()) {
		t.Errorf("the address %s is not in the set bound4: %s", e.Addr4, out)
	}
}

// Containers start and stop during Set. In the end only the attached interfaces exist.
func TestAttachAndSetAtTheSameTime(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			e := h.endpoint(10 + i)
			if _, err := h.overlay.Attach(t.Context(), e); err != nil {
				t.Errorf("Attach: %v", err)
			}
			if i%2 == 0 {
				if err := h.overlay.Detach(t.Context(), e.ID); err != nil {
					t.Errorf("Detach: %v", err)
				}
			}
		})
		wg.Go(func() {
			if err := h.overlay.Set(t.Context(), h.config); err != nil {
				t.Errorf("Set: %v", err)
			}
		})
	}
	wg.Wait()
	h.set()
	if got := strings.Count(string(runIn(t, h.ns, "ip -br link")), "tbc"); got != 2*4 { // name and name@peer
		t.Errorf("the names of container sides occur %d times, want 8: twice for each of 4 interfaces", got)
	}
}

func TestSetReportsThatThePortIsInUse(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	enter(t, h.ns, func() {
		conn, err := net.ListenPacket("udp4", fmt.Sprintf(":%d", DefaultPort))
		must(t, err)
		defer conn.Close()
		if err := h.overlay.Set(t.Context(), h.config); !errors.Is(err, ErrPortInUse) {
			t.Errorf("Set while another socket has the port = %v, want %v", err, ErrPortInUse)
		}
	})
	h.set() // it works once the port is free
}

// Another endpoint can have the address as soon as Detach returns: nothing of the first one
// stays, even if another process attached it.
func TestDetachLeavesNoTrace(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	h := l.hosts[0]
	h.set()
	listen(t, l.outside, ":80")
	for _, restarted := range []bool{false, true} {
		first := h.endpoint(5)
		first.Internal = true
		h.run(first)
		if restarted {
			h.restart()
			h.set()
		}
		must(t, h.overlay.Detach(t.Context(), first.ID))
		h.config.Endpoints = nil
		second := h.endpoint(5)
		second.ID = fmt.Sprint("second", restarted)
		reaches(t, h.run(second), "tcp", at(outsideAddr, 80), h.Underlay.String())
		if got := string(runIn(t, h.ns, "nft list set inet tombolo bound4")); strings.Contains(got, HostSide(first.ID)) {
			t.Errorf("restarted %t: the detached interface is still in the set bound4: %s", restarted, got)
		}
		must(t, h.overlay.Detach(t.Context(), second.ID))
		if got := string(runIn(t, h.ns, "cat /proc/net/nf_conntrack")); strings.Contains(got, second.Addr4.String()) {
			t.Errorf("restarted %t: connections of the detached endpoint are still tracked: %s", restarted, got)
		}
		h.config.Endpoints = nil
		h.set()
	}
}

// If the caller gives up while it waits for its turn, Attach must not create an interface.
func TestAttachAfterTheCallerGaveUp(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := h.endpoint(5)
	if _, err := h.overlay.Attach(ctx, e); !errors.Is(err, context.Canceled) {
		t.Errorf("Attach with a cancelled context = %v, want %v", err, context.Canceled)
	}
	if got := string(runIn(t, h.ns, "ip -o link")); strings.Contains(got, HostSide(e.ID)) {
		t.Errorf("the interface exists: %s", got)
	}
}
