package overlay

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// dumpTries is how often a listing is tried before its error is returned.
const dumpTries = 50

// dump calls list again while the kernel says that what it lists has changed during the call
// (NLM_F_DUMP_INTR in linux/netlink.h), because then an entry may be missing. This happens
// whenever containers start beside it.
func dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range dumpTries {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, err
}

func dumpLinks() ([]netlink.Link, error) { return dump(netlink.LinkList) }

// dumpAddrs returns the addresses of all interfaces.
func dumpAddrs() ([]netlink.Addr, error) {
	return dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
}

// dumpRoutes returns the routes of family that have the fields of filter that mask names.
func dumpRoutes(family int, filter netlink.Route, mask uint64) ([]netlink.Route, error) {
	return dump(func() ([]netlink.Route, error) { return netlink.RouteListFiltered(family, &filter, mask) })
}

// dumpNeighbours returns the entries of a device, for the bridge family its forwarding entries.
func dumpNeighbours(device, family int) ([]netlink.Neigh, error) {
	return dump(func() ([]netlink.Neigh, error) { return netlink.NeighList(device, family) })
}
