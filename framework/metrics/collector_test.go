package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"tombolo/framework/api"
	"tombolo/internal/scrape"
)

func read(t *testing.T) string {
	t.Helper()
	source := Source{
		Snapshot: func() *api.Snapshot {
			return &api.Snapshot{
				Info: api.Info{Version: "v1", Connected: true, Hosts: []api.Host{{Name: "h1", Linker: "up"}, {Name: "h2", Linker: "down"}}},
				Apps: api.AppsOf(
					api.App{Status: api.Status{App: "shop", Up: true, Instances: []api.Instance{{State: api.StateUp}, {State: api.StateUp}, {State: api.StateDone}}}},
					api.App{Status: api.Status{App: "blog", Failed: "web.1 is unhealthy", Instances: []api.Instance{{State: api.StateUnhealthy}}}},
					api.App{Status: api.Status{App: "start", Instances: []api.Instance{{State: api.StateStaging}}}},
					api.App{Status: api.Status{App: "old", Removing: true}},
				),
			}
		},
		Stats: func() Stats {
			return Stats{Offers: 2, Calls: map[string]uint64{"ACCEPT": 5}, FailedCalls: map[string]uint64{"KILL": 1}}
		},
	}
	w := httptest.NewRecorder()
	scrape.Server{Collector: New(source)}.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("the answer has the status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetricsShowAppsInstancesOffersAndCalls(t *testing.T) {
	text := read(t)
	for _, want := range []string{
		`build_info{version="v1"} 1`, `connected 1`, `apps{state="up"} 1`, `apps{state="failed"} 1`, `apps{state="pending"} 1`, `apps{state="removing"} 1`,
		`instances{state="up"} 2`, `instances{state="done"} 1`, `instances{state="unhealthy"} 1`, `instances{state="staging"} 1`, `instances{state="lost"} 0`,
		`hosts{linker="up"} 1`, `hosts{linker="down"} 1`, `hosts{linker="unknown"} 0`, `offers 2`, `calls_total{type="ACCEPT"} 5`, `call_failures_total{type="KILL"} 1`,
	} {
		if !strings.Contains(text, "tombolo_framework_"+want+"\n") {
			t.Errorf("the metrics have no line %q:\n%s", want, text)
		}
	}
}

// promlint has the rules of `promtool check metrics`.
func TestMetricsFollowTheRulesOfPrometheus(t *testing.T) {
	found, err := promlint.New(strings.NewReader(read(t))).Lint()
	if err != nil || len(found) > 0 {
		t.Errorf("promlint finds %v (%v), want nothing", found, err)
	}
}
