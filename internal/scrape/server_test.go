package scrape

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestATakenAddressIsReported(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reported := make(chan error, 1)
	done := make(chan error, 1)
	s := Server{Addr: taken.Addr().String(), Collector: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Report: func(err error) {
		reported <- err
		cancel()
	}}
	go func() { done <- s.Run(ctx) }()
	if err := <-reported; err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("the problem is %v, want that the address is in use", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run returned %v, want nil: everything else works without metrics", err)
	}
}
