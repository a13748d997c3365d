package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"tombolo/internal/unixhttp"
	"tombolo/linker/api"
	"tombolo/linker/api/apitest"
	"tombolo/linker/problem"
	"tombolo/linker/record"
)

var compareAddr = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client returns a client of l, which it serves.
func client(t *testing.T, l *apitest.Linker) *api.Client {
	t.Helper()
	c := api.NewClient(l.Serve(t))
	t.Cleanup(c.Close)
	return c
}

func shop(seq uint64) record.Record {
	return record.Record{
		Key: record.Key{Kind: record.KindApp, Name: "shop"}, Owner: "framework-1", Version: record.Version{Epoch: 1, Seq: seq},
		App: &record.App{Name: "shop", Revision: seq, Services: map[string]record.Service{"web": {Replicas: 2, Generations: map[int]uint64{1: 3}}}},
	}
}

func TestStatusIsTransferred(t *testing.T) {
	want := api.Status{
		Version: "1", Ready: true, Problems: []problem.Problem{problem.New(problem.PortConflict, problem.Found{Subject: "80/tcp", Reason: "taken"})}, Started: time.Unix(100, 0).UTC(),
		Host:  record.Host{Name: "h1", Underlay: netip.MustParseAddr("198.18.0.11"), Block4: netip.MustParsePrefix("100.64.1.0/24")},
		Peers: []api.Peer{{Name: "h2", Underlay: "198.18.0.12", State: "alive"}},
	}
	got, err := client(t, &apitest.Linker{Self: want}).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareAddr); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestTheEngineIsAskedForOneThing(t *testing.T) {
	want := api.Container{Status: "running", Attached: true, Failed: &api.HealthCheck{Exit: 1, Output: "no response"}}
	c := client(t, &apitest.Linker{States: map[string]api.Container{"mesos-1": want}, Kept: []string{"shop_data"}})
	got, err := c.Container(t.Context(), "mesos-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if _, err := c.Container(t.Context(), "mesos-2"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Container of one that does not exist returned %v, want ErrNotFound", err)
	}
	for name, exists := range map[string]bool{"shop_data": true, "no/such": false} {
		if v, err := c.Volume(t.Context(), name); err != nil || v.Exists != exists {
			t.Errorf("Volume(%q) returned %v, %v; want that it exists: %v", name, v, err, exists)
		}
	}
	if err := c.RemoveVolume(t.Context(), "busy"); !errors.Is(err, api.ErrInvalid) {
		t.Errorf("RemoveVolume of one that a container has returned %v, want ErrInvalid", err)
	}
	if err := c.RemoveVolume(t.Context(), "shop_data"); err != nil {
		t.Errorf("RemoveVolume returned %v", err)
	}
	if v, err := c.Volume(t.Context(), "shop_data"); err != nil || v.Exists {
		t.Errorf("after RemoveVolume, Volume returned %v, %v; want that it is gone", v, err)
	}
	if v, err := c.Version(t.Context()); err != nil || v.API != "1.41" {
		t.Errorf("Version returned %v, %v; want the API 1.41", v, err)
	}
}

func TestAppRecordsAreStoredAndDeleted(t *testing.T) {
	c := client(t, new(apitest.Linker))
	ctx := t.Context()
	if err := c.PutApp(ctx, shop(2)); err != nil {
		t.Fatal(err)
	}
	if err := c.PutApp(ctx, shop(1)); !errors.Is(err, api.ErrStale) {
		t.Errorf("PutApp of an older version returned %v, want ErrStale", err)
	}
	snap, err := c.Catalog(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]*record.App{"shop": shop(2).App}, snap.Apps); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if err := c.DeleteApp(ctx, shop(3)); err != nil {
		t.Fatal(err)
	}
	if snap, err = c.Catalog(ctx); err != nil || len(snap.Apps) != 0 {
		t.Errorf("after DeleteApp the apps are %v, error %v; want none", snap.Apps, err)
	}
	if err := c.PutApp(ctx, record.Record{Key: record.Key{Kind: record.KindApp, Name: "bad"}, Owner: "f"}); !errors.Is(err, api.ErrInvalid) {
		t.Errorf("PutApp of a record without an app returned %v, want ErrInvalid", err)
	}
}

func TestWatchDeliversEverySnapshot(t *testing.T) {
	l := new(apitest.Linker)
	c := client(t, l)
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan *record.Snapshot)
	done := make(chan error, 1)
	go func() { done <- c.Watch(ctx, func(s *record.Snapshot) { seen <- s }) }()
	if s := <-seen; len(s.Hosts) != 0 {
		t.Errorf("the first snapshot has the hosts %v, want none", s.Hosts)
	}
	for i := range 5 {
		l.Change(func(s *record.Snapshot) { s.Hosts[fmt.Sprint("h", i)] = &record.Host{Name: fmt.Sprint("h", i)} })
		if s := <-seen; len(s.Hosts) != i+1 {
			t.Errorf("after change %d the snapshot has %d hosts, want %d", i, len(s.Hosts), i+1)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watch returned %v after its context had ended, want nil", err)
	}
}

// The second linker has the same index as the first, but another catalog.
func TestWatchNoticesARestartedLinker(t *testing.T) {
	path := filepath.Join(t.TempDir(), "linker.sock")
	c := api.NewClient(path)
	defer c.Close()
	for _, name := range []string{"before", "after"} {
		l := new(apitest.Linker)
		l.Change(func(s *record.Snapshot) { s.Hosts[name] = &record.Host{Name: name} })
		sock, err := unixhttp.Listen(t.Context(), path, api.SocketMode)
		if err != nil {
			t.Fatal(err)
		}
		stop := l.ServeOn(t, sock)
		seen := make(chan *record.Snapshot, 1)
		done := make(chan error, 1)
		go func() { done <- c.Watch(t.Context(), func(s *record.Snapshot) { seen <- s }) }()
		if s := <-seen; s.Hosts[name] == nil {
			t.Errorf("%s the restart the snapshot has the hosts %v, want one named %s", name, s.Hosts, name)
		}
		stop()
		if err := <-done; err == nil {
			t.Errorf("%s the restart: Watch returned nil after the linker had ended, want an error", name)
		}
	}
}

func TestCatalogAnswersAtOnceUnlessTheClientHasTheIndex(t *testing.T) {
	l := new(apitest.Linker)
	l.Change(func(*record.Snapshot) {})
	h := api.NewServer(api.Config{Catalog: l, Engine: l}).Handler()
	get := func(query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/catalog"+query, nil))
		return w
	}
	run := get("").Header().Get("Tombolo-Run")
	cases := []struct {
		query string
		want  int
	}{
		{"", 200}, {"?index=0", 200}, {"?index=9", 200}, {"?index=1", 304}, {"?index=1&wait=1ms", 304},
		{"?index=1&wait=1h&run=other", 200}, {"?index=1&run=" + run, 304},
		{"?index=x", 400}, {"?index=-1", 400}, {"?wait=-1s", 400}, {"?wait=soon", 400}, {"?idx=1", 400}, {"?index=1&index=2", 400},
	}
	for _, c := range cases {
		if w := get(c.query); w.Code != c.want {
			t.Errorf("GET /v1/catalog%s has status %d, want %d; body: %s", c.query, w.Code, c.want, w.Body)
		}
	}
}

func TestLogsAndTheirErrors(t *testing.T) {
	lines := []api.LogLine{{Stream: "stdout", Line: "one"}, {Stream: "stderr", Line: "two\"\n"}, {Stream: "stdout", Line: "three"}}
	l := &apitest.Linker{Output: map[string][]api.LogLine{"web-1": lines, "quiet": nil}}
	c := client(t, l)
	collect := func(container string, o api.LogOptions) ([]api.LogLine, error) {
		var got []api.LogLine
		err := c.Logs(t.Context(), container, o, func(l api.LogLine) error { got = append(got, l); return nil })
		return got, err
	}
	for _, k := range []struct {
		container string
		o         api.LogOptions
		want      []api.LogLine
	}{{"web-1", api.LogOptions{}, lines}, {"web-1", api.LogOptions{Tail: 1}, lines[2:]}, {"quiet", api.LogOptions{}, nil}} {
		got, err := collect(k.container, k.o)
		if diff := cmp.Diff(k.want, got); diff != "" || err != nil {
			t.Errorf("Logs of %s with %+v returned %v; lines (-want +got):\n%s", k.container, k.o, err, diff)
		}
	}
	if _, err := collect("gone", api.LogOptions{}); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Logs of an unknown container returned %v, want ErrNotFound", err)
	}
	l.Broken = errors.New("disk gone")
	if got, err := collect("web-1", api.LogOptions{}); len(got) != 3 || err == nil || !strings.Contains(err.Error(), "disk gone") {
		t.Errorf("a log that breaks after 3 lines gave %d lines and the error %v, want 3 and \"disk gone\"", len(got), err)
	}
	if _, err := collect("quiet", api.LogOptions{}); err == nil || !strings.Contains(err.Error(), "disk gone") {
		t.Errorf("a log that breaks before its first line returned %v, want \"disk gone\"", err)
	}
}

func TestFollowedLogsEndWithTheContextOrTheCaller(t *testing.T) {
	c := client(t, &apitest.Linker{Output: map[string][]api.LogLine{"web-1": {{Line: "one"}}}})
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Logs(ctx, "web-1", api.LogOptions{Follow: true}, func(api.LogLine) error { cancel(); return nil })
	if err != nil {
		t.Errorf("Logs returned %v after its context had ended, want nil", err)
	}
	full := errors.New("full")
	if err := c.Logs(t.Context(), "web-1", api.LogOptions{Follow: true}, func(api.LogLine) error { return full }); !errors.Is(err, full) {
		t.Errorf("Logs returned %v, want the error of the caller's function", err)
	}
}

func TestResolveUsesTheAskersView(t *testing.T) {
	db := api.Resolution{Name: "db.shop.tombolo.internal", Exists: true, Targets: []record.Target{{Name: "1.db.shop", Addr4: netip.MustParseAddr("100.64.1.2")}}}
	c := client(t, &apitest.Linker{
		Output: map[string][]api.LogLine{"web-1": nil}, Names: map[string]api.Resolution{"web-1 db": db, " db.shop": db},
	})
	for _, k := range []struct {
		name, from string
		want       api.Resolution
	}{{"db", "web-1", db}, {"db.shop", "", db}, {"db", "", api.Resolution{Name: "db"}}} {
		got, err := c.Resolve(t.Context(), k.name, k.from)
		if diff := cmp.Diff(k.want, got, compareAddr); diff != "" || err != nil {
			t.Errorf("Resolve of %s for %q returned %v; answer (-want +got):\n%s", k.name, k.from, err, diff)
		}
	}
	if _, err := c.Resolve(t.Context(), "db", "gone"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Resolve for an unknown container returned %v, want ErrNotFound", err)
	}
}

func TestRequestsAreChecked(t *testing.T) {
	socket := new(apitest.Linker).Serve(t)
	transport := unixhttp.Transport(socket)
	transport.DisableKeepAlives = true
	h := &http.Client{Transport: transport}
	valid := encoded(t, shop(1))
	deleted := shop(1)
	deleted.Deleted, deleted.App = true, nil
	cases := []struct {
		name, method, path, body string
		want                     int
	}{
		{"no such resource", "GET", "/v2/status", "", 404},
		{"unknown method", "POST", "/v1/status", "", 405},
		{"unknown method of an app", "GET", "/v1/apps/shop", "", 405},
		{"unknown parameter", "GET", "/v1/status?x=1", "", 400},
		{"no name", "GET", "/v1/resolve", "", 400},
		{"follow is not 0 or 1", "GET", "/v1/containers/x/logs?follow=yes", "", 400},
		{"tail is negative", "GET", "/v1/containers/x/logs?tail=-1", "", 400},
		{"unknown container", "GET", "/v1/containers/x/logs", "", 404},
		{"body is no record", "PUT", "/v1/apps/shop", "no", 400},
		{"empty body", "PUT", "/v1/apps/shop", "", 400},
		{"record is cut off", "PUT", "/v1/apps/shop", valid[:len(valid)-1], 400},
		{"another app than in the path", "PUT", "/v1/apps/blog", valid, 400},
		{"PUT of a tombstone", "PUT", "/v1/apps/shop", encoded(t, deleted), 400},
		{"DELETE without a tombstone", "DELETE", "/v1/apps/shop", valid, 400},
		{"record of a host", "PUT", "/v1/apps/shop", encoded(t, record.Record{
			Key: record.Key{Kind: record.KindHost, Name: "shop"}, Owner: "shop", Host: &record.Host{Name: "shop"},
		}), 400},
		{"too long", "PUT", "/v1/apps/shop", strings.Repeat("x", record.MaxEncoded+1), 413},
		{"valid", "PUT", "/v1/apps/shop", valid, 204},
		{"not newer than the known one", "PUT", "/v1/apps/shop", valid, 409},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, "http://linker"+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", api.ContentRecord)
			res, err := h.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			if res.StatusCode != c.want || (c.want >= 400 && !strings.HasPrefix(string(b), `{"error":"`)) {
				t.Errorf("the answer has status %d and the body %s; want status %d, and an error for 400 and above", res.StatusCode, b, c.want)
			}
		})
	}
}

// JSON is what linkers took before records were protobuf: it would lose the fields that a
// linker does not know.
func TestAppRecordsInJSONAreRefused(t *testing.T) {
	body, err := json.Marshal(shop(1))
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPut, "/v1/apps/shop", strings.NewReader(string(body)))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	l := new(apitest.Linker)
	api.NewServer(api.Config{Catalog: l, Engine: l}).Handler().ServeHTTP(w, req)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), api.ContentRecord) {
		t.Errorf("the answer has status %d and the body %s; want status 400 and the content type that is expected", w.Code, w.Body)
	}
}

func encoded(t *testing.T, r record.Record) string {
	t.Helper()
	b, err := record.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestClientNamesTheSocketOfAMissingLinker(t *testing.T) {
	c := api.NewClient("/nowhere/linker.sock")
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "/nowhere/linker.sock") {
		t.Errorf("Status returned %v, want an error that names the socket", err)
	}
}
