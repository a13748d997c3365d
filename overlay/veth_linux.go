package overlay

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// veths are the host's sides of the pairs that stand, by name.
type veths map[string]netlink.Link

func listVeths() (veths, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	found := veths{}
	for _, l := range links {
		if l.Type() == "veth" && vethName.MatchString(l.Attrs().Name) {
			found[l.Attrs().Name] = l
		}
	}
	return found, nil
}

// setVeths removes the pairs that belong to no endpoint of c and repairs the
// others. An endpoint without a pair is left alone: it is being attached, or its
// sandbox died and Docker's word on it is to come.
func (o *Overlay) setVeths(c Config) (veths, error) {
	found, err := listVeths()
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, e := range c.Endpoints {
		wanted[HostSide(e.ID)] = true
	}
	var errs []error
	for name, link := range found {
		if !wanted[name] {
			o.log.Info("removing leftover interface", "interface", name)
			errs = append(errs, removeLink(link))
			delete(found, name)
			continue
		}
		errs = append(errs, repairVeth(link, o.mtu))
	}
	return found, errors.Join(errs...)
}

func repairVeth(link netlink.Link, mtu int) error {
	attrs := link.Attrs()
	if err := setARP(attrs.Name); err != nil {
		return err
	}
	if attrs.MTU != mtu {
		if err := netlink.LinkSetMTU(link, mtu); err != nil {
			return fmt.Errorf("set MTU of %s: %w", attrs.Name, err)
		}
	}
	if attrs.Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", attrs.Name, err)
		}
	}
	return nil
}

// createVeth makes an endpoint's pair, with its host's side up and routed.
func createVeth(e Endpoint, c Config, mtu int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = HostSide(e.ID), mtu, hostSideMAC(e.Addr4)
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: ContainerSide(e.ID), PeerHardwareAddr: HardwareAddr(e.Addr4)}
	if err := netlink.LinkAdd(pair); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("create %s: %w", attrs.Name, err)
	}
	index, err := deviceIndex(attrs.Name)
	if err != nil {
		return fmt.Errorf("find %s: %w", attrs.Name, err)
	}
	link := deviceAt(index, attrs.Name)
	if e.Addr6.IsValid() {
		if err := prepareV6(link); err != nil {
			return err
		}
	}
	if err := setARP(attrs.Name); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", attrs.Name, err)
	}
	for _, r := range endpointRoutes(e, c, link) {
		if err := putRoute(r); err != nil {
			return fmt.Errorf("lead to %s: %w", attrs.Name, err)
		}
	}
	return nil
}

// setARP has the kernel answer an address only where it is routed: the container's
// own. Every sender of a request that is answered gets an entry in the table of
// neighbours, which is one for the whole machine and full at a thousand.
func setARP(name string) error { return setSysctl("ipv4/conf/"+name+"/arp_filter", "1") }

// deviceIndex finds a device without the lock that rtnetlink takes: while Docker
// moves interfaces, that one is waited for for tens of milliseconds.
func deviceIndex(name string) (int, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := ioctl(unix.SIOCGIFINDEX, request); err != nil {
		return 0, err // ENODEV: there is none
	}
	return int(request.Uint32()), nil
}

// ioctl asks about an interface; see netdevice(7).
func ioctl(what uint, request *unix.Ifreq) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlIfreq(fd, what, request)
}

func deviceAt(index int, name string) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index, Name: name}}
}

// prepareV6 gives a host's side the gateway's address, and no other.
func prepareV6(link netlink.Link) error {
	name := link.Attrs().Name
	if err := setSysctl("ipv6/conf/"+name+"/disable_ipv6", "0"); err != nil {
		return err
	}
	if err := netlink.LinkSetIP6AddrGenMode(link, nl6AddrGenNone); err != nil {
		return fmt.Errorf("set address mode of %s: %w", name, err)
	}
	if err := netlink.AddrReplace(link, gateway6Addr()); err != nil {
		return fmt.Errorf("give %s to %s: %w", Gateway6, name, err)
	}
	return nil
}

func gateway6Addr() *netlink.Addr {
	return &netlink.Addr{
		IPNet: &net.IPNet{IP: Gateway6.AsSlice(), Mask: net.CIDRMask(64, 128)},
		Flags: unix.IFA_F_NODAD | unix.IFA_F_PERMANENT, Scope: unix.RT_SCOPE_LINK,
	}
}

// removeLink deletes a device; one that is gone already is no error.
func removeLink(link netlink.Link) error {
	err := netlink.LinkDel(link)
	if err == nil || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("remove %s: %w", link.Attrs().Name, err)
}

// removeLinks deletes every device that is ours.
func removeLinks() error {
	found, err := listVeths()
	if err != nil {
		return err
	}
	if device, err := netlink.LinkByName(Device); err == nil {
		found[Device] = device
	}
	var errs []error
	for _, link := range found {
		errs = append(errs, removeLink(link))
	}
	return errors.Join(errs...)
}
