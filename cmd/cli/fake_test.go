package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/internal/unixhttp"
)

// fakeFramework stands behind the real API. Once an app is submitted, it shows the
// statuses of script, one after the other.
type fakeFramework struct {
	script []api.Status
	lines  []api.LogLine

	mu       sync.Mutex
	snapshot *api.Snapshot
	changed  chan struct{}
	seen     chan struct{} // closed when the snapshot has been asked for
	put      []app.App
	deleted  []string

	recreated []string // apps whose volumes may be made anew
}

func (f *fakeFramework) PutApp(_ context.Context, a app.App) (uint64, error) {
	if a.Name == "refused" {
		return 0, fmt.Errorf("%w: no", api.ErrInvalid)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put = append(f.put, a)
	f.show(func(s *api.Snapshot) { s.Apps = s.Apps.With(api.App{Status: api.Status{App: a.Name}, Spec: a}) })
	go f.play(a.Name)
	return 7, nil
}

// play shows the statuses of script, each when a client has seen the one before.
func (f *fakeFramework) play(name string) {
	for _, next := range f.script {
		f.mu.Lock()
		seen := f.seen
		f.mu.Unlock()
		<-seen
		f.mu.Lock()
		next.App = name
		f.show(func(s *api.Snapshot) {
			shown, _ := s.Apps.Get(name)
			shown.Status = next
			s.Apps = s.Apps.With(shown)
		})
		f.mu.Unlock()
	}
}

func (f *fakeFramework) DeleteApp(_ context.Context, name string, _ bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deleted = append(f.deleted, name)
	f.show(func(s *api.Snapshot) {
		shown, _ := s.Apps.Get(name)
		shown.Status.App, shown.Status.Removing = name, true
		s.Apps = s.Apps.With(shown)
	})
	seen := f.seen
	go func() {
		<-seen
		f.mu.Lock()
		defer f.mu.Unlock()
		f.show(func(s *api.Snapshot) { s.Apps = s.Apps.Without(name) })
	}()
	return nil
}

// show replaces the snapshot by a changed one. The caller has locked f.mu.
func (f *fakeFramework) show(change func(*api.Snapshot)) {
	next := &api.Snapshot{}
	if f.snapshot != nil {
		next.Apps = f.snapshot.Apps
		close(f.changed)
	}
	change(next)
	f.snapshot, f.changed, f.seen = next, make(chan struct{}), make(chan struct{})
}

func (f *fakeFramework) Snapshot() (*api.Snapshot, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.seen:
	default:
		close(f.seen)
	}
	return f.snapshot, f.changed
}

func (f *fakeFramework) RecreateVolumes(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recreated = append(f.recreated, name)
	return nil
}

func (f *fakeFramework) Logs(_ context.Context, _ string, q api.LogQuery, fn func(api.LogLine) error) error {
	for _, l := range f.lines {
		if q.Service == "" || q.Service == l.Service {
			if err := fn(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// serve serves the API of f and returns its socket.
func (f *fakeFramework) serve(t *testing.T) string {
	t.Helper()
	f.mu.Lock()
	if f.snapshot == nil {
		f.show(func(*api.Snapshot) {})
	}
	f.mu.Unlock()
	socket := filepath.Join(t.TempDir(), "api.sock")
	l, err := unixhttp.Listen(t.Context(), socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: api.NewHandler(api.Config{Cluster: f, Logs: f, Volumes: f, VolumeTable: f})}
	go server.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

// tombolo runs a command line against the API at socket, in a folder with the Compose
// file.
func tombolo(t *testing.T, socket, compose string, args ...string) (out string, err error) {
	t.Helper()
	return tomboloUntil(t.Context(), t, socket, compose, args...)
}

func tomboloUntil(ctx context.Context, t *testing.T, socket, compose string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "compose.yaml"), compose)
	root := newRootCommand("dev")
	var both bytes.Buffer
	root.SetOut(&both)
	root.SetErr(&both)
	at := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") })
	words := append([]string{"--project-directory", dir, "-f", filepath.Join(dir, "compose.yaml")}, args[:at+1]...)
	root.SetArgs(append(append(words, "--api", socket), args[at+1:]...))
	err := root.ExecuteContext(ctx)
	return both.String(), err
}

const shop = "name: shop\nservices:\n  web: {image: web}\n  db: {image: db}\n"

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
