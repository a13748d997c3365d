package overlay

import (
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Docker moves a container's side of the veth pair into the sandbox, the container's network
// namespace, and gives it its IPv4 address. The IPv6 address is added here, because an Engine
// before 25 starts three processes to add one:
//
//	attached --Docker sets the container's side up--> carrier --giveIPv6--> dual stack
//	                                                     |  ^
//	                                                     v  | at most half a minute
//	                                                    failed
//
// The host's side has a carrier when Docker has finished with the interface. The container's
// process starts tens of milliseconds later.

// ipv6Attempts has the last attempt to give IPv6 to each endpoint, by its ID.
type ipv6Attempts map[string]ipv6Attempt

type ipv6Attempt struct {
	sandbox string
	failed  bool // to be repeated every half minute, but not for every event
}

// pending returns the endpoints that need IPv6 and have not been given it. With retry it
// includes those where the last attempt failed.
func (a ipv6Attempts) pending(endpoints []Endpoint, retry bool) []Endpoint {
	return slices.DeleteFunc(endpoints, func(e Endpoint) bool {
		last := a[e.ID]
		settled := last.sandbox == e.Sandbox && (!last.failed || !retry)
		return !e.Addr6.IsValid() || e.Sandbox == "" || settled
	})
}

// giveIPv6 gives IPv6 to every container that lacks it and whose interface has a carrier. With
// retry it includes those where the last attempt failed.
func (o *Overlay) giveIPv6(retry bool) {
	for _, e := range o.withoutIPv6(retry) {
		if !hasCarrier(o.ns, e) {
			continue
		}
		err := configureIPv6(e)
		if err != nil && !hasCarrier(o.ns, e) {
			continue // the container has ended
		}
		if err != nil {
			o.log.Warn("a container has no IPv6", "endpoint", e.ID, "err", err)
		}
		o.mu.Lock()
		if known, ok := o.want.endpoint(e.ID); ok && known.Sandbox == e.Sandbox {
			o.ipv6[e.ID] = ipv6Attempt{sandbox: e.Sandbox, failed: err != nil}
		}
		o.mu.Unlock()
	}
}

func (o *Overlay) withoutIPv6(retry bool) []Endpoint {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.want.config == nil {
		return nil
	}
	return o.ipv6.pending(o.want.merged().Endpoints, retry)
}

// hasCarrier reports whether the container's side is up.
func hasCarrier(ns netns.NsHandle, e Endpoint) bool {
	request, err := unix.NewIfreq(HostSide(e.ID))
	if err == nil {
		err = inside(ns, func() error { return ioctl(unix.SIOCGIFFLAGS, request) })
	}
	return err == nil && request.Uint16()&unix.IFF_RUNNING != 0
}

// configureIPv6 enters e's container and configures its interface. A repeat changes nothing.
func configureIPv6(e Endpoint) error {
	sandbox, err := netns.GetFromPath(e.Sandbox)
	if err != nil {
		return fmt.Errorf("sandbox %s: %w", e.Sandbox, err)
	}
	defer sandbox.Close()
	return inside(sandbox, func() error {
		link := linkWithAddr(e.Addr4)
		if link == nil {
			return fmt.Errorf("no interface of the container has %s", e.Addr4)
		}
		return setIPv6(link, e)
	})
}

// setIPv6 switches IPv6 on, because Docker switches it off in every sandbox, and adds the
// address and the default route.
func setIPv6(link netlink.Link, e Endpoint) error {
	for _, name := range []string{"lo", link.Attrs().Name} {
		if err := setSysctl("ipv6/conf/"+name+"/disable_ipv6", "0"); err != nil {
			return err
		}
	}
	addr := &netlink.Addr{IPNet: ipNet(hostPrefix(e.Addr6)), Flags: unix.IFA_F_NODAD} // no other host can have it
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("give %s to the container: %w", e.Addr6, err)
	}
	index, gateway := link.Attrs().Index, net.IP(Gateway6.AsSlice())
	for _, r := range []*netlink.Route{
		{LinkIndex: index, Dst: ipNet(hostPrefix(Gateway6)), Scope: netlink.SCOPE_LINK},
		{LinkIndex: index, Dst: &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}, Gw: gateway},
	} {
		if err := netlink.RouteReplace(r); err != nil {
			return fmt.Errorf("route %s in the container: %w", r.Dst, err)
		}
	}
	return nil
}
