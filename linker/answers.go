package linker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
)

// Answers asks the plugin of the linker with this Config as Docker would. It is
// what a supervisor wants to know: whatever else is wrong, Docker must not wait.
func (c Config) Answers(ctx context.Context) error {
	transport := unixTransport(filepath.Join(c.withDefaults().PluginDir, Driver+".sock"))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/Plugin.Activate", nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("plugin: %w", err)
	}
	resp.Body.Close()
	return nil
}

func unixTransport(socket string) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}
}
