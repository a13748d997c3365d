package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// table lists every method of the two drivers. Those with nothing to do are
// answered all the same: Docker takes a 404 for an old plugin, and logs it.
func (s *Server) table() map[string]call {
	nothing := on(func(context.Context, struct{}) (any, error) { return struct{}{}, nil })
	answer := func(reply any) call {
		return on(func(context.Context, struct{}) (any, error) { return reply, nil })
	}
	return map[string]call{
		"/Plugin.Activate":                    answer(activation{[]string{"NetworkDriver", "IpamDriver"}}),
		"/NetworkDriver.GetCapabilities":      answer(networkCapabilities{Scope: "local", ConnectivityScope: "global"}),
		"/NetworkDriver.CreateNetwork":        on(s.createNetwork),
		"/NetworkDriver.DeleteNetwork":        on(s.deleteNetwork),
		"/NetworkDriver.AllocateNetwork":      nothing,
		"/NetworkDriver.FreeNetwork":          nothing,
		"/NetworkDriver.CreateEndpoint":       on(s.createEndpoint),
		"/NetworkDriver.DeleteEndpoint":       on(s.deleteEndpoint),
		"/NetworkDriver.EndpointOperInfo":     answer(infoReply{map[string]string{}}),
		"/NetworkDriver.Join":                 on(s.join),
		"/NetworkDriver.Leave":                on(s.leave),
		"/NetworkDriver.DiscoverNew":          nothing,
		"/NetworkDriver.DiscoverDelete":       nothing,
		"/IpamDriver.GetDefaultAddressSpaces": answer(addressSpaces{addressSpace, addressSpace}),
		// So that Docker draws one itself, and shows it.
		"/IpamDriver.GetCapabilities": answer(ipamCapabilities{RequiresMACAddress: true}),
		"/IpamDriver.RequestPool":     on(s.requestPool),
		"/IpamDriver.ReleasePool":     nothing,
		"/IpamDriver.RequestAddress":  on(s.requestAddress),
		"/IpamDriver.ReleaseAddress":  on(s.releaseAddress),

		"/NetworkDriver.ProgramExternalConnectivity": on(s.publish),
		"/NetworkDriver.RevokeExternalConnectivity":  on(s.unpublish),
	}
}

// on decodes a request for f. Unknown fields are let pass, as every Engine sends
// some of its own.
func on[T any](f func(context.Context, T) (any, error)) call {
	return func(ctx context.Context, body []byte) (any, error) {
		var req T
		if _, none := any(req).(struct{}); none {
			return f(ctx, req)
		}
		if len(body) == 0 {
			// The Engine's plugin client has used the body up when the connection
			// breaks half way, and repeats the call all the same.
			return nil, errors.New("the linker was restarted during the call: try again")
		}
		if err := json.Unmarshal(body, &req); err != nil {
			return nil, fmt.Errorf("decode request: %w", err)
		}
		return f(ctx, req)
	}
}
