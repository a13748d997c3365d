package unixhttp

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Transport returns an HTTP transport that sends every request to the unix socket at
// path, whatever host the URL names.
func Transport(path string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
		IdleConnTimeout: time.Minute,
	}
}
