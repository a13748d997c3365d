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

// SocketMode are the permissions of the socket: those who may open it may do
// everything.
const SocketMode = 0o660

const (
	maxHeader    = 16 << 10
	maxRecord    = 8 << 20 // a service takes about 1 KB
	headTimeout  = 5 * time.Second
	bodyTimeout  = 10 * time.Second
	closeTimeout = 3 * time.Second
	maxWait      = time.Minute
)

// What an answer's status says. A Config's parts return errors that wrap one of
// these where it fits; the Client's errors do the same.
var (
	ErrInvalid  = errors.New("invalid request")                       // 400
	ErrNotFound = errors.New("not found")                             // 404
	ErrStale    = errors.New("a newer or different version is known") // 409
)

// Catalog is the replicated table, as linker/catalog has it.
type Catalog interface {
	Snapshot() *record.Snapshot
	// Watch returns a channel that holds a token while something has changed.
	Watch() (changes <-chan struct{}, cancel func())
}

// Apps takes in what the framework writes.
type Apps interface {
	// PutApp takes in an app record or its tombstone; ErrStale if a newer one is known.
	PutApp(ctx context.Context, r record.Record) error
}

// Host is the linker's own machine.
type Host interface {
	Status(ctx context.Context) (Status, error)
	// Resolve looks a name up as a container (ID, name or address; "" for the host
	// itself) sees it; ErrNotFound if there is no such container.
	Resolve(ctx context.Context, name, from string) (Resolution, error)
	// Logs calls line for a container's output, and stops when that fails.
	Logs(ctx context.Context, container string, o LogOptions, line func(LogLine) error) error
}

// LogOptions choose lines.
type LogOptions struct {
	Follow bool // go on until the container ends
	Tail   int  // only the last so many; 0 means all
}

// Config is what a Server serves.
type Config struct {
	Catalog Catalog
	Apps    Apps
	Host    Host
	Log     *slog.Logger
}

// Server is the API. Make one with NewServer.
type Server struct {
	cfg  Config
	run  string // tells this run's catalog indexes from another's
	snap encoded
	open sync.WaitGroup // requests under way
}

// NewServer makes a server that does nothing before Serve.
func NewServer(cfg Config) *Server {
	return &Server{cfg: cfg, run: rand.Text()}
}

// Serve answers on l, which it closes, until ctx ends; then it returns nil once
// every request has ended. Requests end with ctx.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headTimeout,
		IdleTimeout:       2 * maxWait,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
	}
	err := unixhttp.Serve(ctx, l, srv, closeTimeout)
	s.open.Wait() // also for the requests of clients that were cut because they do not read
	return err
}

// Handler is the API without a socket.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, methods := range map[string]methods{
		"/v1/status":               {"GET": s.status},
		"/v1/catalog":              {"GET": s.catalog},
		"/v1/apps/{name}":          {"PUT": s.putApp, "DELETE": s.deleteApp},
		"/v1/containers/{id}/logs": {"GET": s.logs},
		"/v1/resolve":              {"GET": s.resolve},
	} {
		mux.Handle(path, methods)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, fmt.Errorf("no resource %q: %w", r.URL.Path, ErrNotFound))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.open.Add(1)
		defer s.open.Done()
		mux.ServeHTTP(w, r)
	})
}
