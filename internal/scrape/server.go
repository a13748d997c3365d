// Package scrape serves metrics to Prometheus over HTTP, for the linker and the framework.
package scrape

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	headTimeout = 5 * time.Second
	retryAfter  = 5 * time.Second // until the next attempt to listen, if the address is taken
)

// Server serves the metrics over HTTP.
type Server struct {
	Addr      string // host and port; "": nothing is served
	Collector prometheus.Collector
	Log       *slog.Logger
	Report    func(error) // why nothing is served; nil: it is
}

// Handler serves the metrics at /metrics.
func (s Server) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.Collector, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 3}))
	return mux
}

// Run serves until ctx ends. While another process has the address, it reports that and tries
// again: everything else works without metrics.
func (s Server) Run(ctx context.Context) error {
	if s.Addr == "" {
		<-ctx.Done()
		return nil
	}
	for {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			s.Report(nil)
			return s.serve(ctx, l)
		}
		s.Report(fmt.Errorf("serve metrics: %w", err))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryAfter):
		}
	}
}

func (s Server) serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headTimeout, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
