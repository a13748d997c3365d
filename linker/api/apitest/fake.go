// Package apitest has a fake linker, which implements the interfaces of linker/api in
// memory, for tests of the API and of its callers.
package apitest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"tombolo/internal/unixhttp"
	"tombolo/internal/wake"
	"tombolo/linker/api"
	"tombolo/linker/inspect"
	"tombolo/linker/record"
)

// Linker is a fake with a catalog that tests change, app records whose versions it
// compares, and fixed logs and names. The zero value is ready.
type Linker struct {
	Self   api.Status
	Output map[string][]api.LogLine  // of each container; a log that is followed ends with its context
	Broken error                     // if set, every log ends with it after its lines
	Names  map[string]api.Resolution // by asker and name, such as "web-1 db"
	Looks  map[string]inspect.Result // what it sees, by container
	States map[string]api.Container  // what the Engine says, by ID or name
	Kept   []string                  // names of the volumes that the Engine has
	All    []api.HostState           // the hosts; Forget finds them by name, and refuses those that are alive

	changes  wake.Broadcast
	mu       sync.Mutex
	snap     *record.Snapshot
	versions map[string]record.Version
}

// Serve serves the API on a socket in a temporary folder until the test ends. It returns
// the path of the socket.
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

// ServeOn serves the API on sock until stop is called.
func (l *Linker) ServeOn(t testing.TB, sock net.Listener) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := api.NewServer(api.Config{Catalog: l, Host: l, Cluster: l, Engine: l, Volumes: l, Inspector: l, Log: slog.New(slog.DiscardHandler)})
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
		l.snap = &record.Snapshot{
			Hosts: map[string]*record.Host{}, Endpoints: map[string]*record.Endpoint{}, Apps: map[string]*record.App{}, Suspended: map[string]bool{},
		}
	}
	return l.snap
}

// Change replaces the snapshot by a copy that edit has changed.
func (l *Linker) Change(edit func(*record.Snapshot)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := *l.current()
	s.Hosts, s.Endpoints, s.Apps, s.Suspended = maps.Clone(s.Hosts), maps.Clone(s.Endpoints), maps.Clone(s.Apps), maps.Clone(s.Suspended)
	edit(&s)
	s.Index++
	l.snap = &s
	l.changes.Notify()
}

// Watch implements api.Catalog.
func (l *Linker) Watch() (changes <-chan struct{}, cancel func()) { return l.changes.Watch() }

// PutApp implements api.Catalog.
func (l *Linker) PutApp(packet []byte) error {
	r, err := record.Decode(packet)
	if err != nil {
		return err
	}
	l.mu.Lock()
	old, known := l.versions[r.Name]
	stale := known && !old.Less(r.Version)
	if !stale {
		if l.versions == nil {
			l.versions = map[string]record.Version{}
		}
		l.versions[r.Name] = r.Version
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

// Hosts implements api.Cluster.
func (l *Linker) Hosts(context.Context) []api.HostState { return l.All }

// Forget implements api.Cluster.
func (l *Linker) Forget(_ context.Context, name string, force bool) (api.HostState, error) {
	for _, h := range l.All {
		if h.Name != name {
			continue
		}
		if h.State == api.HostAlive && !force {
			return h, fmt.Errorf("%w: %s is alive", api.ErrInvalid, name)
		}
		return h, nil
	}
	return api.HostState{}, fmt.Errorf("host %q: %w", name, api.ErrNotFound)
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

// Inspect implements api.Inspector.
func (l *Linker) Inspect(_ context.Context, q api.InspectQuery) (api.Inspection, error) {
	seen, ok := l.Looks[q.Container]
	if !ok {
		return api.Inspection{}, fmt.Errorf("%w: container %s", api.ErrNotFound, q.Container)
	}
	return api.Inspection{Host: l.Self.Host.Name, Container: q.Container, Attached: true, Result: seen}, nil
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

// Container implements api.Engine.
func (l *Linker) Container(_ context.Context, container string) (api.Container, error) {
	c, ok := l.States[container]
	if !ok {
		return c, fmt.Errorf("container %q: %w", container, api.ErrNotFound)
	}
	return c, nil
}

// Volume implements api.Engine.
func (l *Linker) Volume(_ context.Context, name string) (api.Volume, error) {
	return api.Volume{Exists: slices.Contains(l.Kept, name)}, nil
}

// RemoveVolume implements api.Volumes: a container has the volume "busy".
func (l *Linker) RemoveVolume(_ context.Context, name string) error {
	if name == "busy" {
		return fmt.Errorf("%w: volume is in use", api.ErrInvalid)
	}
	l.Kept = slices.DeleteFunc(l.Kept, func(v string) bool { return v == name })
	return nil
}

// Version implements api.Engine: the fake is Docker 20.10.
func (l *Linker) Version(context.Context) (api.EngineVersion, error) {
	return api.EngineVersion{API: "1.41"}, nil
}
