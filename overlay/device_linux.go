package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ensureDevice returns the VXLAN device as c wants it: the one that stands, if
// its tunnel is right, or a new one.
func ensureDevice(c Config, log *slog.Logger) (netlink.Link, error) {
	want := vxlanOf(c)
	have, err := netlink.LinkByName(Device)
	if err == nil && !sameTunnel(have, want) {
		log.Info("vxlan device differs, replacing it", "device", Device)
		if err := netlink.LinkDel(have); err != nil {
			return nil, fmt.Errorf("replace %s: %w", Device, err)
		}
		err = unix.ENODEV
	}
	if err != nil {
		if err := deviceError(netlink.LinkAdd(want), want); err != nil {
			return nil, err
		}
		if have, err = netlink.LinkByName(Device); err != nil {
			return nil, fmt.Errorf("find %s: %w", Device, err)
		}
	}
	return have, adjustDevice(have, want)
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

// sameTunnel compares what cannot be changed on a device that stands.
func sameTunnel(link netlink.Link, want *netlink.Vxlan) bool {
	have, ok := link.(*netlink.Vxlan)
	return ok && have.VxlanId == want.VxlanId && have.Port == want.Port && have.SrcAddr.Equal(want.SrcAddr) &&
		!have.Learning && have.VtepDevIndex == 0 && len(have.Group) == 0
}

// deviceError names what kept the device from being made.
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

func adjustDevice(have netlink.Link, want *netlink.Vxlan) error {
	attrs := have.Attrs()
	if !bytes.Equal(attrs.HardwareAddr, want.HardwareAddr) {
		if err := netlink.LinkSetHardwareAddr(have, want.HardwareAddr); err != nil {
			return fmt.Errorf("set address of %s: %w", Device, err)
		}
	}
	if attrs.MTU != want.MTU {
		if err := netlink.LinkSetMTU(have, want.MTU); err != nil {
			return fmt.Errorf("set MTU of %s: %w", Device, err)
		}
		attrs.MTU = want.MTU
	}
	if attrs.Flags&net.FlagUp != 0 {
		return nil
	}
	// No link-local address of its own: nothing would answer it.
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

const nl6AddrGenNone = 1 // IN6_ADDR_GEN_MODE_NONE, linux/if_link.h

// tunnelMTU leaves room for the outer headers: Ethernet 14, VXLAN 8, UDP 8 and IP.
func tunnelMTU(underlay netip.Addr) int {
	overhead, mtu := 50, 1500
	if underlay.Is6() {
		overhead = 70
	}
	if link := linkOf(underlay); link != nil && link.Attrs().Flags&net.FlagLoopback == 0 {
		mtu = link.Attrs().MTU
	}
	return mtu - overhead
}

// linkOf is the device that holds an address of the host, nil if none does.
func linkOf(addr netip.Addr) netlink.Link {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
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
