package overlay

import (
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Docker moves a container's side into its sandbox and gives it IPv4; IPv6 is given
// here, because an Engine before 25 starts three processes of itself to do so.
//
//	attached --Docker sets the container's side up--> carrier --giveV6--> dual
//	                                                     |  ^
//	                                                     v  | half a minute
//	                                                    failed
//
// The carrier comes when everything else of the interface is in place, and the
// container's process starts tens of milliseconds later.

// sandbox6 says how far IPv6 is in a sandbox. Its zero value: not tried.
type sandbox6 struct {
	path   string
	failed bool // to be tried again, though not for every event
}

// giveV6 gives IPv6 to every container that lacks it and has a carrier. With again
// it also tries those with which it failed before.
func (o *Overlay) giveV6(again bool) {
	for _, e := range o.lackV6(again) {
		if !o.hasCarrier(e) {
			continue
		}
		err := o.enter(e)
		if err != nil && !o.hasCarrier(e) {
			continue // the container ended meanwhile
		}
		if err != nil {
			o.log.Warn("a container has no IPv6", "endpoint", e.ID, "err", err)
		}
		o.mu.Lock()
		if known, ok := o.known(e.ID); ok && known.Sandbox == e.Sandbox {
			o.v6[e.ID] = sandbox6{path: e.Sandbox, failed: err != nil}
		}
		o.mu.Unlock()
	}
}

func (o *Overlay) lackV6(again bool) []Endpoint {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.config == nil {
		return nil
	}
	return slices.DeleteFunc(o.merged().Endpoints, func(e Endpoint) bool {
		have := o.v6[e.ID]
		settled := have.path == e.Sandbox && (!have.failed || !again)
		return !e.Addr6.IsValid() || e.Sandbox == "" || settled
	})
}

// hasCarrier reports whether the container's side is up.
func (o *Overlay) hasCarrier(e Endpoint) bool {
	request, err := unix.NewIfreq(HostSide(e.ID))
	if err == nil {
		err = inside(o.ns, func() error { return ioctl(unix.SIOCGIFFLAGS, request) })
	}
	return err == nil && request.Uint16()&unix.IFF_RUNNING != 0
}

// enter makes the inside of e's container have IPv6. A repeat changes nothing.
func (o *Overlay) enter(e Endpoint) error {
	sandbox, err := netns.GetFromPath(e.Sandbox)
	if err != nil {
		return fmt.Errorf("sandbox %s: %w", e.Sandbox, err)
	}
	defer sandbox.Close()
	return inside(sandbox, func() error {
		link, err := holder(e)
		if err != nil {
			return err
		}
		return setV6(link, e)
	})
}

// holder is the interface that has e's IPv4 address.
func holder(e Endpoint) (netlink.Link, error) {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if prefixOf(a.IPNet).Addr() == e.Addr4 {
			return netlink.LinkByIndex(a.LinkIndex)
		}
	}
	return nil, fmt.Errorf("no interface of the container has %s", e.Addr4)
}

// setV6 switches IPv6 on, which Docker switches off in every sandbox, and gives link
// the address and the ways that IPv4 has already.
func setV6(link netlink.Link, e Endpoint) error {
	for _, name := range []string{"lo", link.Attrs().Name} {
		if err := setSysctl("ipv6/conf/"+name+"/disable_ipv6", "0"); err != nil {
			return err
		}
	}
	addr := &netlink.Addr{IPNet: ipNet(host(e.Addr6)), Flags: unix.IFA_F_NODAD} // nobody else can have it
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("give %s to the container: %w", e.Addr6, err)
	}
	index, gateway := link.Attrs().Index, net.IP(Gateway6.AsSlice())
	for _, r := range []*netlink.Route{
		{LinkIndex: index, Dst: ipNet(host(Gateway6)), Scope: netlink.SCOPE_LINK},
		{LinkIndex: index, Dst: &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}, Gw: gateway},
	} {
		if err := netlink.RouteReplace(r); err != nil {
			return fmt.Errorf("route %s in the container: %w", r.Dst, err)
		}
	}
	return nil
}
