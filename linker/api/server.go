package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"tombolo/internal/unixhttp"
	"tombolo/linker/record"
)

// SocketMode has the permissions of the socket: root and its group may do everything.
const SocketMode = 0o660

const (
	maxHeader    = 16 << 10
	headTimeout  = 5 * time.Second
	bodyTimeout  = 10 * time.Second
	closeTimeout = 3 * time.Second
	maxWait      = time.Minute
)

// ContentRecord is the media type of an encoded record (record.Encode). App records
// travel in this form, so that the fields of a newer framework pass through an older
// linker.
const ContentRecord = "application/x-protobuf"

// Errors that have a status of their own. The parts of a Config return errors that wrap
// them, and so does the Client.
var (
	ErrInvalid  = errors.New("invalid request") // 400
	ErrNotFound = errors.New("not found")       // 404
	ErrStale    = record.ErrStale               // 409
)

// Catalog is the replicated table of records.
type Catalog interface {
	Snapshot() *record.Snapshot
	// Watch tells of changes to Snapshot, as wake.Broadcast.Watch does.
	Watch() (changes <-chan struct{}, cancel func())
	// PutApp stores the packet of the framework's record of an app, or of its tombstone. It
	// returns ErrStale if a newer one is known.
	PutApp(packet []byte) error
}

// Host is the linker's own machine.
type Host interface {
	Status(ctx context.Context) (Status, error)
	// Resolve looks name up in the view of the container from (ID, name or address), or
	// of the host if from is "". It returns ErrNotFound if there is no such container.
	Resolve(ctx context.Context, name, from string) (Resolution, error)
	// Logs calls line for each line of a container's output until line returns an error.
	Logs(ctx context.Context, container string, o LogOptions, line func(LogLine) error) error
}

// Engine is the Docker Engine of the linker's machine.
type Engine interface {
	// Container returns ErrNotFound if the Engine has no container of that ID or name.
	Container(ctx context.Context, container string) (Container, error)
	Volume(ctx context.Context, name string) (Volume, error)
	Version(ctx context.Context) (EngineVersion, error)
}

// Volumes are those of the linker's machine.
type Volumes interface {
	// RemoveVolume removes a volume with its data, if it exists. It returns ErrInvalid if a
	// container has it.
	RemoveVolume(ctx context.Context, name string) error
}

// Cluster are all hosts.
type Cluster interface {
	// Hosts returns every host, this one and forgotten ones included, sorted by name.
	Hosts(ctx context.Context) []HostState
	// Forget makes the records of a host (by name or ID) void on every host, and returns the
	// host as it was. It returns ErrNotFound if there is no such host, and ErrInvalid if several
	// have the name, if it was forgotten before, or if it is alive and force is not set.
	Forget(ctx context.Context, name string, force bool) (HostState, error)
}

// Config has the parts that a Server makes available.
type Config struct {
	Catalog   Catalog
	Host      Host
	Cluster   Cluster
	Engine    Engine
	Volumes   Volumes
	Inspector Inspector
	Log       *slog.Logger
}

// Server serves the API. Make one with NewServer.
type Server struct {
	cfg     Config
	run     string // an index of the catalog is valid only together with this
	encoder snapshotEncoder
	open    sync.WaitGroup // requests under way
}

// NewServer returns a server that does nothing before Serve.
func NewServer(cfg Config) *Server {
	return &Server{cfg: cfg, run: rand.Text()}
}

// Serve answers requests on l, which it closes, until ctx ends. The contexts of requests
// end with ctx. Serve returns nil after every request has ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headTimeout,
		IdleTimeout:       2 * maxWait,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
	}
	err := unixhttp.Serve(ctx, l, srv, closeTimeout)
	s.open.Wait() // the requests of clients that were cut because they do not read may still run
	return err
}

// Handler returns the API without a socket.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, methods := range map[string]methods{
		"/v1/status":               {"GET": get(s.status)},
		"/v1/catalog":              {"GET": s.catalog},
		"/v1/hosts":                {"GET": get(s.hosts)},
		"/v1/hosts/{name}":         {"DELETE": s.forgetHost},
		"/v1/apps/{name}":          {"PUT": s.putApp, "DELETE": s.putApp},
		"/v1/containers/{id}/logs": {"GET": s.logs},
		"/v1/containers/{id}":      {"GET": named("id", s.cfg.Engine.Container)},
		"/v1/volumes/{name}":       {"GET": named("name", s.cfg.Engine.Volume), "DELETE": s.removeVolume},
		"/v1/engine":               {"GET": get(s.engine)},
		"/v1/resolve":              {"GET": get(s.resolve, "name", "from")},
		"/v1/inspect":              {"GET": get(s.inspect, "container", "name", "to", "port")},
	} {
		mux.Handle(path, methods)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, fmt.Errorf("no resource %q: %w", r.URL.Path, ErrNotFound))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.open.Add(1)
		defer s.open.Done()
		mux.ServeHTTP(w, r)
	})
}
