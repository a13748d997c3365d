package unixhttp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Serve answers requests on l until ctx ends. It then lets open requests finish for at
// most grace, cuts those that have not, and returns nil. The contexts of requests end
// with ctx, unless the server has a BaseContext of its own.
func Serve(ctx context.Context, l net.Listener, server *http.Server, grace time.Duration) error {
	if server.BaseContext == nil {
		server.BaseContext = func(net.Listener) context.Context { return ctx }
	}
	served := make(chan error, 1) // one slot: the goroutine below ends also if nobody receives
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		_ = server.Close() // it reports errors of connections that are being cut anyway
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}
