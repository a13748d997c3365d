package linker

import (
	"context"
	"fmt"
	"net/http"

	"tombolo/internal/unixhttp"
)

// ProbePlugin returns an error unless the plugin of the linker with this Config answers
// as Docker expects. A supervisor asks it: whatever else is wrong, Docker must not wait
// for a linker that is stuck.
func (c Config) ProbePlugin(ctx context.Context) error {
	transport := unixhttp.Transport(c.pluginSocket())
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/Plugin.Activate", nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("probe the plugin: %w", err)
	}
	resp.Body.Close()
	return nil
}
