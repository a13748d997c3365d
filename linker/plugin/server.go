package plugin

import (
	"cmp"
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

// defaultDeadline bounds every call. Docker itself waits without limit.
const defaultDeadline = 5 * time.Second

// maxBody bounds a request. Docker's have a few kilobytes.
const maxBody = 1 << 20

// Table keeps addresses, the one network and its endpoints: attach.Table. It has one
// method for each of libnetwork's calls, and therefore more than three.
type Table interface {
	Reserve(ctx context.Context, want netip.Addr) (netip.Addr, error)
	Release(addr netip.Addr) error

	CreateNetwork(id string) error
	DeleteNetwork(id string) error

	Create(ctx context.Context, ep attach.Endpoint) error
	Join(ctx context.Context, id, sandbox string) (iface attach.Interface, name string, err error)
	Publish(ctx context.Context, id string, ports []attach.PublishedPort) error
	Unpublish(ctx context.Context, id string) error
	Leave(ctx context.Context, id string) error
	Delete(ctx context.Context, id string) error
}

// Config has the parts that a Server drives.
type Config struct {
	Socket   string       // path of the unix socket; Run makes its folder
	Pool4    netip.Prefix // the cluster's IPv4 pool
	Table    Table
	Log      *slog.Logger
	Deadline time.Duration // of every call; 0: 5 s
	// EngineVersion returns the Engine's version, such as "20.10.24+dfsg1", or "" while it
	// is not known. It must not call the Engine, which waits for us. Nil: not known.
	EngineVersion func() string
}

// Server answers Docker's calls.
type Server struct {
	cfg     Config
	calls   map[string]call
	refused atomic.Uint64
}

// call handles the body of one kind of request. Its reply is sent as JSON, and its error
// as an errorReply.
type call func(ctx context.Context, body []byte) (any, error)

// New returns a server that listens once Run is called.
func New(cfg Config) *Server {
	cfg.Deadline = cmp.Or(cfg.Deadline, defaultDeadline)
	if cfg.EngineVersion == nil {
		cfg.EngineVersion = func() string { return "" }
	}
	s := &Server{cfg: cfg}
	s.calls = s.methods()
	return s
}

// Run serves until ctx ends and then removes the socket, so that Docker's later calls
// fail at once instead of waiting. It replaces a socket that is in use. It returns an
// error if it cannot listen.
func (s *Server) Run(ctx context.Context) error {
	l, err := unixhttp.TakeOver(ctx, s.cfg.Socket, 0o600)
	if err != nil {
		return fmt.Errorf("plugin socket: %w", err)
	}
	defer os.Remove(s.cfg.Socket) // if it fails, the next linker replaces the socket
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

// Refused returns the number of calls that were answered with an error.
func (s *Server) Refused() uint64 { return s.refused.Load() }

// ServeHTTP answers one call before the deadline. It answers an unknown method with 404,
// and every other error with 200 and an errorReply.
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
		reply = errorReply{Err: "tombolo: " + err.Error(), Error: "tombolo: " + err.Error()}
	}
	s.cfg.Log.Debug("plugin call", "call", r.URL.Path, "took", time.Since(start))
	w.Header().Set("Content-Type", "application/vnd.docker.plugins.v1.1+json")
	_ = json.NewEncoder(w).Encode(reply) // an error means that Docker closed the connection
}

// run runs a call in a goroutine of its own, so that a call that ignores its context
// cannot delay the answer. The context ends a tenth of the deadline early: that leaves a
// call the time to say in its error what it waited for.
func (s *Server) run(ctx context.Context, do call, body io.Reader) (any, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	type result struct {
		reply any
		err   error
	}
	done := make(chan result, 1) // one slot: a call that is late must not block
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
