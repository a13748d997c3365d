package attach

import (
	"tombolo/linker/record"
	"tombolo/overlay"
)

// The words of the parts below that whoever drives a Table needs, so that a plugin
// knows this package alone.
type (
	// Interface is a container's pair of devices.
	Interface = overlay.Interface
	// PublishedPort is a port of the host that leads to a port of an endpoint.
	PublishedPort = record.PublishedPort
)

// Gateway4 is every container's next hop, a link-local address of the host.
var Gateway4 = overlay.Gateway4
