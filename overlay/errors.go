package overlay

import (
	"errors"
	"fmt"
	"net/netip"
)

// Errors that callers can tell apart with errors.Is.
var (
	// ErrNoVXLAN means that the kernel cannot create VXLAN devices.
	ErrNoVXLAN = errors.New("kernel has no vxlan support")
	// ErrPortInUse means that another socket or device holds the VXLAN port or VNI.
	ErrPortInUse = errors.New("vxlan port or identifier in use")
	// ErrPoolOverlap means that the host already routes part of the pool elsewhere.
	ErrPoolOverlap = errors.New("pool overlaps a route of this host")
	// ErrNotSet means that Attach was called before a Set had created the VXLAN device.
	ErrNotSet = errors.New("the overlay is not configured yet")
	// ErrResolverOpen means that a container reaches Docker's own resolver, and that nothing
	// could be done against it.
	ErrResolverOpen = errors.New("the container can reach the resolver of Docker")
	// ErrExists means that the endpoint is attached already, with other addresses.
	ErrExists = errors.New("endpoint exists with another address")
)

// PoolOverlapError names the route that overlaps a pool. errors.Is takes it for
// ErrPoolOverlap.
type PoolOverlapError struct {
	Pool   netip.Prefix
	Route  netip.Prefix
	Device string // "" means that the route has none, such as a blackhole
	Table  int    // routing table; 254 is main, 255 local
	Rule   string // the policy rule by which the kernel looks there, as `ip rule` shows it; "": none of its own
}

// Error implements error.
func (e *PoolOverlapError) Error() string {
	via := ""
	if e.Device != "" {
		via = " on " + e.Device
	}
	text := fmt.Sprintf("%v: %s overlaps %s%s (table %d)", ErrPoolOverlap, e.Pool, e.Route, via, e.Table)
	if e.Rule != "" {
		text += ", by the rule " + e.Rule
	}
	return text
}

// Is reports whether target is ErrPoolOverlap.
func (e *PoolOverlapError) Is(target error) bool { return target == ErrPoolOverlap }
