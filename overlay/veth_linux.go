package overlay

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// veths has the host's sides of the veth pairs that exist, by name.
type veths map[string]netlink.Link

func listVeths() (veths, error) {
	links, err := dumpLinks()
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

// setVeths deletes the pairs that belong to no endpoint of the Config, repairs the others and
// returns them. It creates no pair: an endpoint without one is just being attached, or its
// sandbox ended and Docker will detach it.
func (m *match) setVeths() (veths, error) {
	found, err := listVeths()
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, e := range m.c.Endpoints {
		wanted[HostSide(e.ID)] = true
	}
	var errs []error
	for name, link := range found {
		if !wanted[name] {
			m.log.Info("removing leftover interface", "interface", name)
			errs = append(errs, deleteLink(link))
			delete(found, name)
			continue
		}
		errs = append(errs, m.repairVeth(link))
	}
	return found, errors.Join(errs...)
}

// repairVeth leaves the pair's MTU alone when that of the VXLAN device changes. The container's
// side keeps its MTU, and a side drops larger packets than its own without a word. A packet
// that fits the pair but not the VXLAN device is answered by ICMP.
func (m *match) repairVeth(link netlink.Link) error {
	attrs := link.Attrs()
	if err := m.guard(link); err != nil || attrs.Flags&net.FlagUp != 0 {
		return err
	}
	m.done.add(KindInterface, attrs.Name+" down")
	return setUp(link)
}

// createVeth creates an endpoint's pair and returns its host's side.
func createVeth(e Endpoint, mtu int) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = HostSide(e.ID), mtu, hostSideMAC(e.Addr4)
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: ContainerSide(e.ID), PeerHardwareAddr: HardwareAddr(e.Addr4)}
	if err := netlink.LinkAdd(pair); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("create %s: %w", attrs.Name, err)
	}
	index, err := deviceIndex(attrs.Name)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", attrs.Name, err)
	}
	return deviceAt(index, attrs.Name), nil
}

// equipVeth sets the host's side of a new pair up and routes to it.
func equipVeth(link netlink.Link, e Endpoint, c Config) error {
	if err := addGuard(link); err != nil {
		return err
	}
	if e.Addr6.IsValid() {
		if err := addGateway6(link); err != nil {
			return err
		}
	}
	if err := setUp(link); err != nil {
		return err
	}
	for _, r := range endpointRoutes(e, c, link) {
		if err := putRoute(r); err != nil {
			return fmt.Errorf("route to %s: %w", link.Attrs().Name, err)
		}
	}
	return nil
}

// setUp sets the host's side of a pair up.
func setUp(link netlink.Link) error {
	name := link.Attrs().Name
	for _, s := range []sysctl{arpFilter(name), unicastOnly(name)} {
		if _, err := s.set(); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// deviceIndex finds a device without the lock of rtnetlink. While Docker moves interfaces,
// that lock can be busy for tens of milliseconds. The error is ENODEV if there is no device.
func deviceIndex(name string) (int, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := ioctl(unix.SIOCGIFINDEX, request); err != nil {
		return 0, err
	}
	return int(request.Uint32()), nil
}

// ioctl asks the kernel about an interface, see netdevice(7).
func ioctl(number uint, request *unix.Ifreq) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlIfreq(fd, number, request)
}

func deviceAt(index int, name string) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index, Name: name}}
}

// addGateway6 gives the host's side of a pair the address of the IPv6 gateway, and no other.
func addGateway6(link netlink.Link) error {
	name := link.Attrs().Name
	if err := setSysctl("ipv6/conf/"+name+"/disable_ipv6", "0"); err != nil {
		return err
	}
	if err := netlink.LinkSetIP6AddrGenMode(link, nl6AddrGenNone); err != nil {
		return fmt.Errorf("set address mode of %s: %w", name, err)
	}
	addr := &netlink.Addr{
		IPNet: &net.IPNet{IP: Gateway6.AsSlice(), Mask: net.CIDRMask(64, 128)},
		Flags: unix.IFA_F_NODAD | unix.IFA_F_PERMANENT, Scope: unix.RT_SCOPE_LINK,
	}
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("give %s to %s: %w", Gateway6, name, err)
	}
	return nil
}

// deleteLink deletes a device. It is no error if the device does not exist.
func deleteLink(link netlink.Link) error {
	err := netlink.LinkDel(link)
	if err == nil || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("remove %s: %w", link.Attrs().Name, err)
}

// deleteLinks deletes the VXLAN device and all veths.
func deleteLinks() error {
	found, err := listVeths()
	if err != nil {
		return err
	}
	if device, err := netlink.LinkByName(Device); err == nil {
		found[Device] = device
	}
	var errs []error
	for _, link := range found {
		errs = append(errs, deleteLink(link))
	}
	return errors.Join(errs...)
}
