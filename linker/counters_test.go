package linker

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tombolo/internal/unixhttp"
	"tombolo/linker/ipam"
	"tombolo/overlay"
)

// What is counted can be read.
func TestCounters(t *testing.T) {
	h := newTestHost(t, 16)
	h.start(t)
	c := h.client(t)
	eventually(t, "block used", func() bool { return h.block.Current() != nil })
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
	eventually(t, "the plugin refuses", func() bool {
		resp, err := unixhttp.Transport(h.cfg.PluginDir + "/" + Driver + ".sock").RoundTrip(req)
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
			t.Errorf("%s = %d, %v; want %d", name, got, ok, want)
		}
	}
	h.stop()
}

// A data plane that others broke, and that cannot be mended, is no ready one.
func TestBrokenDataPlaneIsTold(t *testing.T) {
	h := newTestHost(t, 17)
	h.start(t)
	c := h.client(t)
	ready := func() bool {
		st, err := c.Status(t.Context())
		return err == nil && st.Ready
	}
	eventually(t, "ready", ready)
	h.problems.report(overlayProblem, errors.New("out of luck"))
	st, err := c.Status(t.Context())
	if err != nil || st.Ready || len(st.Problems) != 1 || !strings.HasPrefix(st.Problems[0], "overlay: out of luck (") {
		t.Errorf("status = %+v, %v", st, err)
	}
	h.problems.report(overlayProblem, nil)
	if !ready() {
		t.Error("not ready again")
	}
	h.stop()
}

func TestPoolIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := []error{nil, &overlay.PoolOverlapError{Pool: DefaultPool4, Route: netip.MustParsePrefix("100.100.0.0/16"), Device: "vpn0", Table: 52}, nil}
		looks := 0
		problems := newProblems(slog.New(slog.DiscardHandler))
		check := poolCheck{problems: problems, find: func(...netip.Prefix) error {
			looks++
			return found[looks-1]
		}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = check.run(ctx) }()
		time.Sleep(time.Nanosecond) // after the looks, from now on
		for _, want := range []string{"", "overlaps 100.100.0.0/16 on vpn0", ""} {
			time.Sleep(recheckPool)
			if got := strings.Join(problems.list(), "\n"); (got == "") != (want == "") || !strings.Contains(got, want) {
				t.Errorf("problems: %q, want %q", got, want)
			}
		}
	})
}
