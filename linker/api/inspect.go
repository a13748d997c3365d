package api

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"tombolo/linker/inspect"
)

// inspectTimeout bounds a look at a container: an answer of DNS and a connection may each
// take inspect.DialTimeout.
const inspectTimeout = 10 * time.Second

// Inspector looks at what really happens between a container of this host and an address.
type Inspector interface {
	// Inspect returns ErrNotFound if this host has no such container.
	Inspect(ctx context.Context, q InspectQuery) (Inspection, error)
}

// InspectQuery says what to look at.
type InspectQuery struct {
	Container string     // of the linker's host: ID, name, address or HOST/NAME
	Name      string     // look this name up from inside of the container; "": none
	To        netip.Addr // find the way to this address; unset: none
	Port      uint16     // open a TCP connection to this port of To, from inside of the container, and close it; 0: none
}

// Inspection is what was seen.
type Inspection struct {
	Host      string `json:"host"`
	Container string `json:"container"`
	Attached  bool   `json:"attached"` // the linker has its interface
	inspect.Result
}

// Inspect looks at a container of the linker's host.
func (c *Client) Inspect(ctx context.Context, q InspectQuery) (Inspection, error) {
	v := url.Values{"container": {q.Container}}
	if q.Name != "" {
		v.Set("name", q.Name)
	}
	if q.To.IsValid() {
		v.Set("to", q.To.String())
	}
	if q.Port != 0 {
		v.Set("port", strconv.Itoa(int(q.Port)))
	}
	var out Inspection
	_, err := c.get(ctx, "/v1/inspect?"+v.Encode(), inspectTimeout, &out)
	return out, err
}

func (s *Server) inspect(ctx context.Context, q map[string]string) (Inspection, error) {
	query := InspectQuery{Container: q["container"], Name: q["name"]}
	if query.Container == "" {
		return Inspection{}, fmt.Errorf("%w: the parameter container is missing", ErrInvalid)
	}
	if text := q["to"]; text != "" {
		var err error
		if query.To, err = netip.ParseAddr(text); err != nil {
			return Inspection{}, fmt.Errorf("%w: to=%.64q is not an address", ErrInvalid, text)
		}
	}
	if text := q["port"]; text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return Inspection{}, fmt.Errorf("%w: port=%.20q is not a port", ErrInvalid, text)
		}
		query.Port = uint16(n)
	}
	return s.cfg.Inspector.Inspect(ctx, query)
}
