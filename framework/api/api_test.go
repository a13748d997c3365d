package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

// cluster is an api.Cluster and api.Logs whose answers the test sets.
type cluster struct {
	mu       sync.Mutex
	snapshot *api.Snapshot
	changed  chan struct{}
	put      []app.App
	deleted  []string
	err      error
	query    api.LogQuery

	recreated []string
}

func newCluster() *cluster {
	return &cluster{changed: make(chan struct{}), snapshot: &api.Snapshot{Info: api.Info{Version: "1"}}}
}

func (c *cluster) PutApp(_ context.Context, a app.App) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put = append(c.put, a)
	return uint64(len(c.put)), c.err
}

func (c *cluster) DeleteApp(_ context.Context, name string, volumes bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deleted = append(c.deleted, fmt.Sprint(name, " ", volumes))
	return c.err
}

func (c *cluster) Snapshot() (*api.Snapshot, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshot, c.changed
}

func (c *cluster) set(apps ...api.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := &api.Snapshot{Info: c.snapshot.Info}
	for _, s := range apps {
		next.Apps = next.Apps.With(api.App{Status: s, Spec: app.App{Name: s.App}})
	}
	c.snapshot = next
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *cluster) Logs(_ context.Context, name string, query api.LogQuery, fn func(api.LogLine) error) error {
	c.mu.Lock()
	c.query = query
	err := c.err
	c.mu.Unlock()
	for n := range 3 {
		if err := fn(api.LogLine{Service: "web", Slot: n, Line: "of " + name}); err != nil {
			return err
		}
	}
	return err
}

func (c *cluster) RecreateVolumes(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recreated = append(c.recreated, name)
	return c.err
}

// serve serves a cluster on a unix socket.
func serve(t *testing.T) (*cluster, *api.Client) {
	t.Helper()
	c := newCluster()
	socket := filepath.Join(t.TempDir(), "api.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: api.NewHandler(api.Config{Cluster: c, Logs: c, Volumes: c})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	client := api.NewClient(socket)
	t.Cleanup(func() {
		client.Close()
		_ = server.Close()
		<-done
	})
	return c, client
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryCallReachesTheCluster(t *testing.T) {
	c, client := serve(t)
	ctx := t.Context()
	wanted := app.App{Name: "shop", Services: map[string]app.Service{"web": {
		Name: "web", Image: "nginx", Replicas: 2, DependsOn: map[string]app.Dependency{"db": {Condition: app.Healthy}},
	}}}
	if revision, err := client.PutApp(ctx, wanted); err != nil || revision != 1 {
		t.Errorf("PutApp returned %d, %v; want revision 1", revision, err)
	}
	if diff := cmp.Diff([]app.App{wanted}, c.put); diff != "" {
		t.Errorf("apps put (-want +got):\n%s", diff)
	}
	if err := client.RecreateVolumes(ctx, "shop"); err != nil || !slices.Equal(c.recreated, []string{"shop"}) {
		t.Errorf("RecreateVolumes returned %v, and the cluster got %v; want shop", err, c.recreated)
	}
	for _, volumes := range []bool{false, true} {
		if err := client.DeleteApp(ctx, "shop", volumes); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"shop false", "shop true"}, c.deleted); diff != "" {
		t.Errorf("apps deleted (-want +got):\n%s", diff)
	}
	shop := api.Status{App: "shop", Revision: 3, Instances: []api.Instance{{App: "shop", Service: "web", Slot: 1, State: api.StateUp}}}
	c.set(shop, api.Status{App: "blog"})
	if list, err := client.Apps(ctx); err != nil || len(list) != 2 || list[0].App != "blog" {
		t.Errorf("Apps returned %v, %v; want blog and shop", list, err)
	}
	got, err := client.App(ctx, "shop")
	if diff := cmp.Diff(shop, got); err != nil || diff != "" {
		t.Errorf("App: error %v, status (-want +got):\n%s", err, diff)
	}
	if spec, err := client.Spec(ctx, "shop"); err != nil || spec.Name != "shop" {
		t.Errorf("Spec returned %v, %v; want that of shop", spec, err)
	}
	if info, err := client.Info(ctx); err != nil || info.Version != "1" {
		t.Errorf("Info returned %v, %v; want version 1", info, err)
	}
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	c, client := serve(t)
	ctx := t.Context()
	if _, err := client.App(ctx, "none"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("App of an app that does not exist: %v, want ErrNotFound", err)
	}
	if _, err := client.Spec(ctx, "none"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Spec of an app that does not exist: %v, want ErrNotFound", err)
	}
	if err := client.Follow(ctx, "none", nil); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Follow of an app that does not exist: %v, want ErrNotFound", err)
	}
	if err := client.Logs(ctx, "none", api.LogQuery{}, nil); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Logs of an app that does not exist: %v, want ErrNotFound", err)
	}
	for _, kind := range []error{api.ErrConflict, api.ErrInvalid, api.ErrUnavailable, api.ErrNotFound} {
		c.err = fmt.Errorf("shop: %w: for a reason", kind)
		_, err := client.PutApp(ctx, app.App{Name: "shop"})
		if !errors.Is(err, kind) || err.Error() != c.err.Error() {
			t.Errorf("the cluster returned %v, the client %v; want the same", c.err, err)
		}
	}
	c.err = errors.New("boom")
	if _, err := client.PutApp(ctx, app.App{Name: "shop"}); err == nil || err.Error() != "boom" {
		t.Errorf("PutApp returned %v, want boom", err)
	}
	var refused *net.OpError
	if _, err := api.NewClient("/nowhere/api.sock").Info(ctx); !errors.As(err, &refused) {
		t.Errorf("Info without a server returned %v, want an error of net.Dial", err)
	}
}

func TestFollowShowsEveryChange(t *testing.T) {
	c, client := serve(t)
	c.set(api.Status{App: "shop", Revision: 1})
	var seen []uint64
	err := client.Follow(t.Context(), "shop", func(s api.Status) error {
		seen = append(seen, s.Revision)
		switch s.Revision {
		case 1:
			c.set(api.Status{App: "shop", Revision: 2}, api.Status{App: "blog"})
		case 2:
			c.set(api.Status{App: "blog"})
		}
		return nil
	})
	if diff := cmp.Diff([]uint64{1, 2}, seen); err != nil || diff != "" {
		t.Errorf("Follow: error %v, revisions (-want +got):\n%s", err, diff)
	}
	c.set(api.Status{App: "shop"})
	enough := errors.New("enough")
	if err := client.Follow(t.Context(), "shop", func(api.Status) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Follow returned %v, want the error of its function", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = client.Follow(ctx, "shop", func(api.Status) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Follow returned %v after its context had ended, want context.Canceled", err)
	}
}

func TestFollowEndsWithTheServer(t *testing.T) {
	c := newCluster()
	server := httptest.NewServer(api.NewHandler(api.Config{Cluster: c, Logs: c}))
	defer server.Close()
	client := api.NewClient(server.URL)
	defer client.Close()
	c.set(api.Status{App: "shop"})
	err := client.Follow(t.Context(), "shop", func(api.Status) error { server.CloseClientConnections(); return nil })
	if err == nil {
		t.Error("Follow returned nil when the stream broke off, as if the app had ended")
	}
}

func TestLogsAndTheirErrorsReachTheClient(t *testing.T) {
	c, client := serve(t)
	c.set(api.Status{App: "shop"})
	query := api.LogQuery{Service: "web", Slot: 2, Follow: true, Tail: -1}
	var lines []string
	err := client.Logs(t.Context(), "shop", query, func(l api.LogLine) error {
		lines = append(lines, fmt.Sprintf("%s.%d %s", l.Service, l.Slot, l.Line))
		return nil
	})
	if diff := cmp.Diff([]string{"web.0 of shop", "web.1 of shop", "web.2 of shop"}, lines); err != nil || diff != "" {
		t.Errorf("Logs: error %v, lines (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(query, c.query); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	c.err = errors.New("the linker hung up")
	err = client.Logs(t.Context(), "shop", query, func(api.LogLine) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "the linker hung up") {
		t.Errorf("Logs returned %v, want the error at the end of the output", err)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	c := newCluster()
	server := httptest.NewServer(api.NewHandler(api.Config{Cluster: c, Logs: c}))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	c.set(api.Status{App: "shop"})
	tests := []struct {
		name, method, path, body string
		code                     int
		says                     string
	}{
		{"no JSON", "PUT", "/v1/apps/shop", "hello", 400, "decode app"},
		{"empty", "PUT", "/v1/apps/shop", "", 400, "decode app"},
		{"unknown field", "PUT", "/v1/apps/shop", `{"name":"shop","colour":"red"}`, 400, "colour"},
		{"unknown field inside", "PUT", "/v1/apps/shop", `{"name":"shop","services":{"a":{"imagee":"x"}}}`, 400, "imagee"},
		{"wrong type", "PUT", "/v1/apps/shop", `{"name":7}`, 400, "name"},
		{"two values", "PUT", "/v1/apps/shop", `{"name":"shop"}{}`, 400, "more than one"},
		{"another name", "PUT", "/v1/apps/shop", `{"name":"blog"}`, 400, "blog"},
		{"too large", "PUT", "/v1/apps/shop", `{"name":"` + strings.Repeat("x", 5<<20) + `"}`, 413, "too large"},
		{"volumes", "DELETE", "/v1/apps/shop?volumes=perhaps", "", 400, "perhaps"},
		{"slot", "GET", "/v1/apps/shop/logs?slot=x", "", 400, "slot"},
		{"follow", "GET", "/v1/apps/shop/logs?follow=x", "", 400, "follow"},
		{"path", "GET", "/v2/apps", "", 404, "/v2/apps"},
		{"method", "POST", "/v1/apps", "", 404, "POST"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != tt.code || !strings.Contains(string(body), tt.says) {
				t.Errorf("the response is %d %s, want %d with %q", answer.StatusCode, body, tt.code, tt.says)
			}
			if kind := answer.Header.Get("Content-Type"); kind != "application/json" {
				t.Errorf("the content type is %s, want application/json", kind)
			}
		})
	}
	if len(c.put) > 0 {
		t.Errorf("bad requests put apps: %v", c.put)
	}
}
