package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// CheckVXLAN returns ErrNoVXLAN if the kernel cannot create VXLAN devices. It creates none: it
// asks for a device without attributes, which the kernel rejects in any case, but with
// EOPNOTSUPP only if it does not know the kind of device (rtnl_newlink).
func CheckVXLAN() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = Device
	err := netlink.LinkAdd(&netlink.GenericLink{LinkAttrs: attrs, LinkType: "vxlan"})
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w (try: modprobe vxlan): %w", ErrNoVXLAN, err)
	}
	return nil // Set reports all other problems
}

// ensureDevice returns the VXLAN device that the Config asks for. It replaces an existing one only if
// the difference cannot be changed on the device.
func (m *match) ensureDevice() (netlink.Link, error) {
	want := vxlanOf(m.c)
	have, err := netlink.LinkByName(Device)
	if err == nil && !sameTunnel(have, want) {
		m.log.Info("vxlan device differs, replacing it", "device", Device)
		if err := netlink.LinkDel(have); err != nil {
			return nil, fmt.Errorf("replace %s: %w", Device, err)
		}
		err = unix.ENODEV
	}
	if err == nil {
		return have, m.adjustDevice(have, want)
	}
	m.done.add(KindDevice, Device)
	if err := deviceError(netlink.LinkAdd(want), want); err != nil {
		return nil, err
	}
	if have, err = netlink.LinkByName(Device); err != nil {
		return nil, fmt.Errorf("find %s: %w", Device, err)
	}
	return have, (&match{table: m.table}).adjustDevice(have, want) // what a new device lacks is no change of its own
}

func vxlanOf(c Config) *netlink.Vxlan {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = Device, c.Self.MAC
	attrs.MTU = tunnelMTU(c.Self.Underlay)
	v := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: c.VNI, Port: int(c.Port)}
	if c.Self.Underlay.IsValid() {
		v.SrcAddr = c.Self.Underlay.AsSlice()
	}
	return v
}

// sameTunnel compares the attributes that cannot be changed on an existing device.
func sameTunnel(link netlink.Link, want *netlink.Vxlan) bool {
	have, ok := link.(*netlink.Vxlan)
	return ok && have.VxlanId == want.VxlanId && have.Port == want.Port && have.SrcAddr.Equal(want.SrcAddr) &&
		!have.Learning && have.VtepDevIndex == 0 && len(have.Group) == 0
}

// deviceError adds ErrNoVXLAN or ErrPortInUse to an error of creating the device.
func deviceError(err error, want *netlink.Vxlan) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: create %s: %w", ErrNoVXLAN, Device, err)
	case errors.Is(err, unix.EEXIST), errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w: create %s (VNI %d, port %d): %w", ErrPortInUse, Device, want.VxlanId, want.Port, err)
	}
	return fmt.Errorf("create %s: %w", Device, err)
}

func (m *match) adjustDevice(have netlink.Link, want *netlink.Vxlan) error {
	attrs := have.Attrs()
	if !bytes.Equal(attrs.HardwareAddr, want.HardwareAddr) {
		m.done.add(KindDevice, Device+" address")
		if err := netlink.LinkSetHardwareAddr(have, want.HardwareAddr); err != nil {
			return fmt.Errorf("set address of %s: %w", Device, err)
		}
	}
	if attrs.MTU != want.MTU {
		if attrs.MTU != m.mtu { // otherwise the underlay's has changed
			m.done.add(KindDevice, Device+" mtu")
		}
		if err := netlink.LinkSetMTU(have, want.MTU); err != nil {
			return fmt.Errorf("set MTU of %s: %w", Device, err)
		}
		attrs.MTU = want.MTU
	}
	if err := m.guard(have); err != nil || attrs.Flags&net.FlagUp != 0 {
		return err
	}
	m.done.add(KindDevice, Device+" down")
	// The same as addrGenNone, before the device is up.
	if err := netlink.LinkSetIP6AddrGenMode(have, nl6AddrGenNone); err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return fmt.Errorf("set address mode of %s: %w", Device, err)
	}
	err := netlink.LinkSetUp(have)
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("%w: set %s up: udp port %d: %w", ErrPortInUse, Device, want.Port, err)
	}
	if err != nil {
		return fmt.Errorf("set %s up: %w", Device, err)
	}
	return nil
}

const nl6AddrGenNone = 1 // IN6_ADDR_GEN_MODE_NONE of linux/if_link.h

// tunnelMTU leaves room for the inner Ethernet header (14 bytes), VXLAN (8), UDP (8) and IP.
func tunnelMTU(underlay netip.Addr) int {
	overhead, mtu := 50, 1500
	if underlay.Is6() {
		overhead = 70
	}
	if link := linkWithAddr(underlay); link != nil && link.Attrs().Flags&net.FlagLoopback == 0 {
		mtu = link.Attrs().MTU
	}
	return mtu - overhead
}

// linkWithAddr returns the device that has an address, or nil if none has it.
func linkWithAddr(addr netip.Addr) netlink.Link {
	addrs, err := dumpAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if have, ok := netip.AddrFromSlice(a.IP); ok && have.Unmap() == addr {
			link, err := netlink.LinkByIndex(a.LinkIndex)
			if err != nil {
				return nil
			}
			return link
		}
	}
	return nil
}
