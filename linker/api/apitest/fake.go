package apitest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"tombolo/internal/unixhttp"
	"tombolo/internal/wake"
	"tombolo/linker/api"
	"tombolo/linker/record"
)

// Linker is a fake: a catalog that Change changes, app records with the rule of
// versions, scripted logs and names. The zero value is ready.
type Linker struct {
	Self api.Status
	// Output is what containers have written; following one waits for ctx after it.
	Output map[string][]api.LogLine
	// Broken, if set, ends every log after its lines.
	Broken error
	// Names maps asker and name ("web-1 db") to the answer.
	Names map[string]api.Resolution

	changes  wake.Broadcast
	mu       sync.Mutex
	snap     *record.Snapshot
	versions map[string]record.Record
}

// Serve answers on a socket in a temporary folder until the test ends, and returns
// the socket's path.
func (l *Linker) Serve(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "linker.sock")
	sock, err := unixhttp.Listen(t.Context(), path, api.SocketMode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.ServeOn(t, sock))
	return path
}

// ServeOn answers on sock until the returned function is called.
func (l *Linker) ServeOn(t testing.TB, sock net.Listener) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := api.NewServer(api.Config{Catalog: l, Apps: l, Host: l, Log: slog.New(slog.DiscardHandler)})
	go func() { done <- s.Serve(ctx, sock) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
}

// Snapshot implements api.Catalog.
func (l *Linker) Snapshot() *record.Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current()
}

func (l *Linker) current() *record.Snapshot {
	if l.snap == nil {
		l.snap = new(record.Snapshot)
	}
	return l.snap
}

// Change replaces the snapshot by a copy that edit has worked on; the maps in it
// are its own.
func (l *Linker) Change(edit func(*record.Snapshot)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := *l.current()
	s.Hosts, s.Endpoints, s.Apps, s.Suspended = copied(s.Hosts), copied(s.Endpoints), copied(s.Apps), copied(s.Suspended)
	edit(&s)
	s.Index++
	l.snap = &s
	l.changes.Notify()
}

func copied[K comparable, V any](m map[K]V) map[K]V {
	out := make(map[K]V, len(m))
	maps.Copy(out, m)
	return out
}

// Watch implements api.Catalog.
func (l *Linker) Watch() (changes <-chan struct{}, cancel func()) { return l.changes.Watch() }

// PutApp implements api.Apps.
func (l *Linker) PutApp(_ context.Context, r record.Record) error {
	l.mu.Lock()
	old, known := l.versions[r.Name]
	stale := known && !old.Version.Less(r.Version)
	if !stale {
		if l.versions == nil {
			l.versions = make(map[string]record.Record)
		}
		l.versions[r.Name] = r
	}
	l.mu.Unlock()
	if stale {
		return fmt.Errorf("app %s: %w", r.Name, api.ErrStale)
	}
	l.Change(func(s *record.Snapshot) {
		delete(s.Apps, r.Name)
		if !r.Deleted {
			s.Apps[r.Name] = r.App
		}
	})
	return nil
}

// Status implements api.Host.
func (l *Linker) Status(context.Context) (api.Status, error) { return l.Self, nil }

// Resolve implements api.Host.
func (l *Linker) Resolve(_ context.Context, name, from string) (api.Resolution, error) {
	if _, ok := l.Output[from]; from != "" && !ok {
		return api.Resolution{}, fmt.Errorf("container %q: %w", from, api.ErrNotFound)
	}
	if r, ok := l.Names[from+" "+name]; ok {
		return r, nil
	}
	return api.Resolution{Name: name}, nil
}

// Logs implements api.Host.
func (l *Linker) Logs(ctx context.Context, container string, o api.LogOptions, line func(api.LogLine) error) error {
	lines, ok := l.Output[container]
	if !ok {
		return fmt.Errorf("container %q: %w", container, api.ErrNotFound)
	}
	if o.Tail > 0 && o.Tail < len(lines) {
		lines = lines[len(lines)-o.Tail:]
	}
	for _, one := range lines {
		if err := line(one); err != nil {
			return err
		}
	}
	if o.Follow {
		<-ctx.Done()
	}
	return l.Broken
}
