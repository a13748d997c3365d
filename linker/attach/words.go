package attach

import (
	"tombolo/linker/ipam"
	"tombolo/linker/record"
	"tombolo/overlay"
)

// The words of the parts below that whoever drives a Table needs, so that a plugin
// knows this package alone.
type (
	// Request asks for one address.
	Request = ipam.Request
	// Interface is a container's pair of devices.
	Interface = overlay.Interface
	// Publication is a port of the host that leads to a port of an endpoint.
	Publication = record.Publish
	// Port is a port that a container listens on.
	Port = record.Port
)

// Gateway4 and Gateway6 are every container's next hops, link-local addresses of
// the host.
var (
	Gateway4 = overlay.Gateway4
	Gateway6 = overlay.Gateway6
)
