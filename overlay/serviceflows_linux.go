package overlay

import (
	"errors"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// deleteStaleServices deletes the tracked flows that service addresses led to containers which
// are not their targets any more. Without it, a UDP client that never pauses would send to such
// a container forever. Established TCP connections stay: they end with the container, which
// may be finishing its work.
//
// Have has the former elements. If these are unknown (nil), as after a restart, every service
// that has targets is checked. One without targets may only lack the records of its hosts.
func deleteStaleServices(have, now contents) error {
	var errs []error
	for suffix, family := range map[string]netlink.InetFamily{"4": unix.AF_INET, "6": unix.AF_INET6} {
		services := now.servicesWithTargets(suffix)
		if have != nil {
			services = now.servicesThatLost(have.without(now), suffix)
		}
		if len(services) == 0 {
			continue
		}
		targets := now.targetsOf(services, suffix)
		errs = append(errs, deleteConnections(family, func(flow *netlink.ConntrackFlow) bool {
			entered, answers := addrOf(flow.Forward.DstIP), addrOf(flow.Reverse.SrcIP)
			if !answers.IsValid() || !entered.IsValid() || established(flow) {
				return false
			}
			svc := addrField(entered)
			return services[svc] && !targets[svc][addrField(answers)]
		}))
	}
	return errors.Join(errs...)
}
