package metrics

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"tombolo/internal/scrape"
	"tombolo/linker/api"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

type fakeSource struct {
	status api.Status
	err    error
}

func (f fakeSource) State() (api.Status, error) { return f.status, f.err }

func (f fakeSource) Snapshot() *record.Snapshot {
	return &record.Snapshot{Hosts: map[string]*record.Host{"h1": {}, "h2": {}}, Endpoints: map[string]*record.Endpoint{"h1/a": {}}}
}

func source() fakeSource {
	return fakeSource{status: api.Status{
		Version: "v1", Peers: []api.Peer{{Name: "h2", State: "alive"}},
		Problems: []problem.Problem{problem.New(problem.PortConflict, problem.Found{Subject: "80/tcp"}), problem.New(problem.PortConflict, problem.Found{Subject: "81/tcp"})},
		Counters: map[string]uint64{
			"dns.queries": 7, "overlay.forged": 3, "overlay.repaired_route": 2, "gossip.malformed": 1, "catalog.refused": 4, "plugin.refused": 5,
		},
	}}
}

func read(t *testing.T, s fakeSource) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	scrape.Server{Collector: New(s)}.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Code, w.Body.String()
}

func TestMetricsShowWhatTheStatusShows(t *testing.T) {
	code, text := read(t, source())
	if code != http.StatusOK {
		t.Fatalf("the answer has the status %d:\n%s", code, text)
	}
	for _, want := range []string{
		`tombolo_build_info{version="v1"} 1`, `tombolo_ready 0`, `tombolo_problems{name="port-conflict",severity="degraded"} 2`,
		`tombolo_problems{name="docker-unreachable",severity="outage"} 0`, `tombolo_peers{state="alive"} 1`, `tombolo_peers{state="suspended"} 0`,
		`tombolo_catalog_records{kind="host"} 2`, `tombolo_catalog_records{kind="app"} 0`, `tombolo_dns_events_total{event="queries"} 7`,
		`tombolo_overlay_rejected_packets_total{reason="forged"} 3`, `tombolo_overlay_repairs_total{kind="route"} 2`,
		`tombolo_gossip_events_total{event="malformed"} 1`, `tombolo_catalog_events_total{event="refused"} 4`, `tombolo_events_total{event="refused",part="plugin"} 5`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the metrics have no line %q:\n%s", want, text)
		}
	}
}

// promlint has the rules of `promtool check metrics`.
func TestMetricsFollowTheRulesOfPrometheus(t *testing.T) {
	_, text := read(t, source())
	found, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(found) > 0 {
		t.Errorf("promlint finds %v (%v), want nothing", found, err)
	}
}

func TestAStateThatCannotBeReadIsAnError(t *testing.T) {
	if code, _ := read(t, fakeSource{err: errors.New("broken")}); code != http.StatusInternalServerError {
		t.Errorf("the answer has the status %d, want 500", code)
	}
}
