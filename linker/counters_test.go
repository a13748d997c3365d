package linker

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"tombolo/internal/unixhttp"
	"tombolo/linker/ipam"
	"tombolo/linker/problem"
)

func TestCounters(t *testing.T) {
	h := newTestHost(t, 16)
	h.start(t)
	c := h.client(t)
	h.awaitBlock(t)
	var err error
	for err == nil {
		_, err = h.table.Reserve(t.Context(), netip.Addr{})
	}
	if !errors.Is(err, ipam.ErrExhausted) {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://plugin/NetworkDriver.Join", strings.NewReader(`{"EndpointID":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	transport := unixhttp.Transport(h.cfg.pluginSocket())
	defer transport.CloseIdleConnections()
	eventually(t, "the plugin refuses an unknown endpoint", func() bool {
		resp, err := transport.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{"addresses.exhausted": 1, "plugin.refused": 1, "overlay.forged": 3, "dns.malformed": 0} {
		if got, ok := st.Counters[name]; !ok || got != want {
			t.Errorf("the counter %s is %d (present: %v), want %d", name, got, ok, want)
		}
	}
	h.stop()
}

// If others break the data plane and it cannot be repaired, the linker is not ready.
func TestBrokenDataPlaneIsReported(t *testing.T) {
	h := newTestHost(t, 17)
	h.start(t)
	c := h.client(t)
	ready := func() bool {
		st, err := c.Status(t.Context())
		return err == nil && st.Ready
	}
	eventually(t, "the linker is ready", ready)
	h.problems.Report(problem.OverlayIncomplete, errors.New("out of luck"))
	st, err := c.Status(t.Context())
	if err != nil || st.Ready || len(st.Problems) != 1 || !strings.HasPrefix(st.Problems[0].String(), "overlay-incomplete: out of luck") {
		t.Errorf("the status is %+v (%v), want not ready with one problem of the overlay", st, err)
	}
	h.problems.Report(problem.OverlayIncomplete, nil)
	if !ready() {
		t.Error("the linker is not ready although the data plane was repaired")
	}
	h.stop()
}
