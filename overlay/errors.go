package overlay

import (
	"errors"
	"fmt"
	"net/netip"
)

// Errors that callers tell apart.
var (
	// ErrNoVXLAN says that the kernel cannot make VXLAN devices.
	ErrNoVXLAN = errors.New("kernel has no vxlan support")
	// ErrPortInUse says that another socket or device holds the VXLAN port or VNI.
	ErrPortInUse = errors.New("vxlan port or identifier in use")
	// ErrPoolOverlap says that the host already routes part of the pool elsewhere.
	ErrPoolOverlap = errors.New("pool overlaps a route of this host")
	// ErrNotSet says that Attach came before the first Set, which alone knows the
	// host's own addresses.
	ErrNotSet = errors.New("overlay not set yet")
	// ErrExists says that the endpoint is attached already, with other addresses.
	ErrExists = errors.New("endpoint exists with another address")
)

// PoolOverlapError names the route that a pool overlaps. It is an ErrPoolOverlap.
type PoolOverlapError struct {
	Pool   netip.Prefix
	Route  netip.Prefix
	Device string // "" for a route without one
	Table  int    // routing table; 254 is main, 255 local
}

// Error implements error.
func (e *PoolOverlapError) Error() string {
	via := ""
	if e.Device != "" {
		via = " on " + e.Device
	}
	return fmt.Sprintf("%v: %s overlaps %s%s (table %d)", ErrPoolOverlap, e.Pool, e.Route, via, e.Table)
}

// Is reports whether target is ErrPoolOverlap.
func (e *PoolOverlapError) Is(target error) bool { return target == ErrPoolOverlap }
