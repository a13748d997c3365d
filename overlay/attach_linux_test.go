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

func TestAttachTwiceAndOtherwise(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	e := h.endpoint(5)
	if _, err := h.overlay.Attach(t.Context(), e); !errors.Is(err, ErrNotSet) {
		t.Errorf("before the first Set: %v", err)
	}
	h.set()
	first, err := h.overlay.Attach(t.Context(), e)
	must(t, err)
	index := linkIndex(t, h.ns, first.Host)
	second, err := h.overlay.Attach(t.Context(), e)
	must(t, err)
	if diff := cmp.Diff(first, second); diff != "" || linkIndex(t, h.ns, first.Host) != index {
		t.Errorf("the repeat made another interface: %s", diff)
	}
	if mac := attrsOf(t, h.ns, first.Container).HardwareAddr; mac.String() != first.MAC.String() || first.MTU != 1450 {
		t.Errorf("container's side has MAC %s, want %s; MTU %d", mac, first.MAC, first.MTU)
	}
	other := e
	other.Addr4 = h.endpoint(6).Addr4
	if _, err := h.overlay.Attach(t.Context(), other); !errors.Is(err, ErrExists) {
		t.Errorf("other address: %v", err)
	}
	h.config.Endpoints = []Endpoint{e}
	h.restart()
	h.set()
	if _, err := h.overlay.Attach(t.Context(), other); !errors.Is(err, ErrExists) {
		t.Errorf("other address after a restart: %v", err)
	}
	must(t, h.overlay.Detach(t.Context(), e.ID))
	must(t, h.overlay.Detach(t.Context(), e.ID))
	h.config.Endpoints = nil
	h.set()
	if _, err := h.overlay.Attach(t.Context(), other); err != nil {
		t.Errorf("other address after detach: %v", err)
	}
	if _, err := h.overlay.Attach(t.Context(), Endpoint{ID: "none"}); err == nil {
		t.Error("attached without an address")
	}
}

// Set collects what no Config and no Attach knows, and nothing else.
func TestLeftovers(t *testing.T) {
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
				t.Errorf("%s stands: %t, want %t", name, got, want)
			}
		}
	}
	h.set() // a Config made before either was attached
	exist(HostSide(inConfig.ID), HostSide(attached.ID), foreign)
	h.config.Endpoints = []Endpoint{inConfig}
	h.set()
	exist(HostSide(inConfig.ID), HostSide(attached.ID), foreign)
	h.restart() // nobody remembers the other
	h.set()
	exist(HostSide(inConfig.ID), foreign)
	h.config.Endpoints = append(h.config.Endpoints, h.endpoint(7)) // known, not there: no matter
	h.set()
	exist(HostSide(inConfig.ID), foreign)
}

// An interface works when Attach returns, though the table was flushed before.
func TestAttachAfterFlush(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	runIn(t, h.ns, "nft flush ruleset")
	e := h.endpoint(5)
	box := h.run(e)
	listen(t, box, ":80")
	reaches(t, h.ns, "tcp", at(e.Addr4, 80), h.Overlay4.String())
	if out := runIn(t, h.ns, "nft list set inet tombolo bound4"); !strings.Contains(string(out), e.Addr4.String()) {
		t.Errorf("not bound: %s", out)
	}
}

// Containers come and go while the linker sets; afterwards all is as last said.
func TestConcurrentAttachAndSet(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			e := h.endpoint(10 + i)
			if _, err := h.overlay.Attach(t.Context(), e); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				if err := h.overlay.Detach(t.Context(), e.ID); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			if err := h.overlay.Set(t.Context(), h.config); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h.set()
	if got := strings.Count(string(runIn(t, h.ns, "ip -br link")), "tbc"); got != 2*4 { // name and name@peer
		t.Errorf("%d interfaces", got)
	}
}

func TestDeviceErrors(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	enter(t, h.ns, func() {
		conn, err := net.ListenPacket("udp4", fmt.Sprintf(":%d", DefaultPort))
		must(t, err)
		defer conn.Close()
		if err := h.overlay.Set(t.Context(), h.config); !errors.Is(err, ErrPortInUse) {
			t.Errorf("with the port held: %v", err)
		}
	})
	h.set() // and freed
}

// An address may be given to another as soon as Detach returns: nothing of its
// last holder stays, whoever attached it.
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
			t.Errorf("restarted %t: %s", restarted, got)
		}
		must(t, h.overlay.Detach(t.Context(), second.ID))
		if got := string(runIn(t, h.ns, "cat /proc/net/nf_conntrack")); strings.Contains(got, second.Addr4.String()) {
			t.Errorf("restarted %t: still tracked: %s", restarted, got)
		}
		h.config.Endpoints = nil
		h.set()
	}
}

// Who waited in vain for others' turns to end is not attached behind its back.
func TestAttachTooLate(t *testing.T) {
	t.Parallel()
	h := newLab(t, 1).hosts[0]
	h.set()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := h.endpoint(5)
	if _, err := h.overlay.Attach(ctx, e); !errors.Is(err, context.Canceled) {
		t.Errorf("Attach = %v", err)
	}
	if got := string(runIn(t, h.ns, "ip -o link")); strings.Contains(got, HostSide(e.ID)) {
		t.Errorf("attached all the same: %s", got)
	}
}
