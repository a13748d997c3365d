package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"tombolo/internal/unixhttp"
	"tombolo/linker/attach"
)

// Deadline bounds every call. Docker has none of its own.
const Deadline = 5 * time.Second

// maxBody bounds a request; real ones are a few kilobytes.
const maxBody = 1 << 20

// Addresses is the IPAM half of attach.Table.
type Addresses interface {
	Reserve(ctx context.Context, want netip.Addr) (netip.Addr, error)
	Release(addr netip.Addr) error
}

// Networks keeps the one network of the driver: attach.Table.
type Networks interface {
	CreateNetwork(id string) error
	DeleteNetwork(id string) error
}

// Endpoints is the life of an endpoint: attach.Table. It mirrors libnetwork's
// calls one to one, which is why it has more than three methods.
type Endpoints interface {
	Create(ctx context.Context, ep attach.Endpoint) error
	Join(ctx context.Context, id, sandbox string) (attach.Interface, error)
	Publish(ctx context.Context, id string, ports []attach.PublishedPort) error
	Unpublish(ctx context.Context, id string) error
	Leave(ctx context.Context, id string) error
	Delete(ctx context.Context, id string) error
}

// Config is what a Server is made of.
type Config struct {
	Socket    string // path; its folder is made
	Pool4     netip.Prefix
	Addresses Addresses
	Networks  Networks
	Endpoints Endpoints
	Log       *slog.Logger
	Deadline  time.Duration // 0: the package's Deadline
}

// Server answers Docker.
type Server struct {
	cfg     Config
	calls   map[string]call
	refused atomic.Uint64
}

// call answers one kind of request. What it returns is sent as JSON; an error is
// sent as Docker wants a logical one.
type call func(ctx context.Context, body []byte) (any, error)

// New makes a server that listens once Run is called.
func New(cfg Config) *Server {
	if cfg.Deadline == 0 {
		cfg.Deadline = Deadline
	}
	s := &Server{cfg: cfg}
	s.calls = s.table()
	return s
}

// Run serves until ctx ends, then closes and removes the socket, so that Docker
// is refused instead of left waiting.
func (s *Server) Run(ctx context.Context) error {
	l, err := unixhttp.TakeOver(ctx, s.cfg.Socket, 0o600)
	if err != nil {
		return fmt.Errorf("plugin socket: %w", err)
	}
	defer os.Remove(s.cfg.Socket) // nothing is left to clean when this fails
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.cfg.Deadline,
		ReadTimeout:       2 * s.cfg.Deadline,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
		// A call that is under way when ctx ends may finish within its own deadline.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	if err := unixhttp.Serve(ctx, l, srv, s.cfg.Deadline); err != nil {
		return fmt.Errorf("plugin socket: %w", err)
	}
	return nil
}

// Refused counts the calls that were answered with an error.
func (s *Server) Refused() uint64 { return s.refused.Load() }

// ServeHTTP answers one call: 404 for a method we do not know, 200 with an Err for
// whatever else goes wrong, and always before the deadline.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	do, ok := s.calls[r.URL.Path]
	if !ok || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	start := time.Now()
	reply, err := s.run(r.Context(), do, http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.refused.Add(1)
		s.cfg.Log.Warn("plugin call refused", "call", r.URL.Path, "err", err)
		reply = failure{Err: "tombolo: " + err.Error(), Error: "tombolo: " + err.Error()}
	}
	s.cfg.Log.Debug("plugin call", "call", r.URL.Path, "took", time.Since(start))
	w.Header().Set("Content-Type", "application/vnd.docker.plugins.v1.1+json")
	_ = json.NewEncoder(w).Encode(reply) // an error here means that Docker hung up
}

// run does the call in a goroutine of its own, so that one which ignores its
// context still cannot hold the answer back. One which does not has a tenth of the
// deadline left to say itself what it waited for.
func (s *Server) run(ctx context.Context, do call, body io.Reader) (any, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	type result struct {
		reply any
		err   error
	}
	done := make(chan result, 1) // room for the answer that nobody waits for any more
	go func() {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Deadline-s.cfg.Deadline/10)
		defer cancel()
		reply, err := do(ctx, raw)
		done <- result{reply, err}
	}()
	late := time.NewTimer(s.cfg.Deadline)
	defer late.Stop()
	select {
	case r := <-done:
		return r.reply, r.err
	case <-late.C:
		return nil, fmt.Errorf("no answer within %v", s.cfg.Deadline)
	}
}
