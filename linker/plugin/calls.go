package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// methods has every method of the two drivers, by path. Methods for which there is
// nothing to do are answered too: Docker takes a 404 for an old plugin and logs it.
func (s *Server) methods() map[string]call {
	constant := func(reply string) call {
		return func(context.Context, []byte) (any, error) { return json.RawMessage(reply), nil }
	}
	nothing := constant("{}")
	return map[string]call{
		"/Plugin.Activate":                constant(`{"Implements":["NetworkDriver","IpamDriver"]}`),
		"/NetworkDriver.GetCapabilities":  constant(`{"Scope":"local","ConnectivityScope":"global"}`),
		"/NetworkDriver.CreateNetwork":    decoded(s.createNetwork),
		"/NetworkDriver.DeleteNetwork":    decoded(s.deleteNetwork),
		"/NetworkDriver.AllocateNetwork":  nothing,
		"/NetworkDriver.FreeNetwork":      nothing,
		"/NetworkDriver.CreateEndpoint":   decoded(s.createEndpoint),
		"/NetworkDriver.DeleteEndpoint":   onEndpoint(s.cfg.Table.Delete),
		"/NetworkDriver.EndpointOperInfo": constant(`{"Value":{}}`),
		"/NetworkDriver.Join":             decoded(s.join),
		"/NetworkDriver.Leave":            onEndpoint(s.cfg.Table.Leave),
		"/NetworkDriver.DiscoverNew":      nothing,
		"/NetworkDriver.DiscoverDelete":   nothing,
		// The address space is a local one: each host's linker gives addresses of its own block.
		"/IpamDriver.GetDefaultAddressSpaces": constant(`{"LocalDefaultAddressSpace":"tombolo","GlobalDefaultAddressSpace":"tombolo"}`),
		// Docker then chooses the MAC address itself, and shows it.
		"/IpamDriver.GetCapabilities": constant(`{"RequiresMACAddress":true,"RequiresRequestReplay":false}`),
		"/IpamDriver.RequestPool":     decoded(s.requestPool),
		"/IpamDriver.ReleasePool":     nothing,
		"/IpamDriver.RequestAddress":  decoded(s.requestAddress),
		"/IpamDriver.ReleaseAddress":  decoded(s.releaseAddress),

		"/NetworkDriver.ProgramExternalConnectivity": decoded(s.publish),
		"/NetworkDriver.RevokeExternalConnectivity":  onEndpoint(s.cfg.Table.Unpublish),
	}
}

// decoded returns a call that decodes the request for f. It ignores unknown fields,
// because every version of the Engine sends some of its own.
func decoded[T any](f func(context.Context, T) (any, error)) call {
	return func(ctx context.Context, body []byte) (any, error) {
		var req T
		if len(body) == 0 {
			// When a connection breaks, the Engine's plugin client repeats the call, but
			// has already consumed the body.
			return nil, errors.New("the linker was restarted during the call: try again")
		}
		if err := json.Unmarshal(body, &req); err != nil {
			return nil, fmt.Errorf("decode request: %w", err)
		}
		return f(ctx, req)
	}
}
