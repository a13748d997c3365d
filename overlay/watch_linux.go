package overlay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// kernelGroups are the groups of rtnetlink that tell about what match sets. The last two tell
// about forwarding; about other sysctls nobody tells.
var kernelGroups = []uint{
	unix.RTNLGRP_LINK, unix.RTNLGRP_TC, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
	unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
}

// watcher finds the messages of rtnetlink after which the kernel may differ from the Config. It
// passes over most of what this Overlay does itself, such as the start of a container, and over
// the routes and interfaces of other programs. The interfaces change as it reads.
type watcher struct {
	pools func() []netip.Prefix
	links map[int32]linkState // all interfaces, by index
}

type linkState struct {
	name string
	up   bool
	mtu  uint32
	mac  []byte
}

// ours reports whether an interface is the VXLAN device or the host's side of a pair.
func (l linkState) ours() bool { return l.name == Device || vethName.MatchString(l.name) }

// list reads the interfaces that exist.
func (w *watcher) list() error {
	links, err := dumpLinks()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	w.links = map[int32]linkState{}
	for _, l := range links {
		a := l.Attrs()
		w.links[int32(a.Index)] = linkState{a.Name, a.Flags&net.FlagUp != 0, uint32(a.MTU), a.HardwareAddr}
	}
	return nil
}

// Offsets into the messages of linux/rtnetlink.h, linux/if_link.h and linux/neighbour.h.
const (
	indexAt    = 4 // of the interface, in ifinfomsg, ifaddrmsg, ndmsg and tcmsg
	linkFlags  = 8 // in ifinfomsg
	addrScope  = 3 // in ifaddrmsg
	routeBits  = 1 // length of the destination, in rtmsg
	routeProto = 5 // in rtmsg
)

// relevant reports whether the kernel may differ from the Config after m.
func (w *watcher) relevant(m syscall.NetlinkMessage) bool {
	data := m.Data
	if len(data) < 4 {
		return false
	}
	switch kind := int(m.Header.Type); kind {
	case unix.RTM_NEWNETCONF:
		return w.forwarding(data)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return len(data) >= unix.SizeofRtMsg && w.route(m)
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return len(data) >= unix.SizeofIfInfomsg && w.link(kind == unix.RTM_DELLINK, data)
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		return w.at(data).name == Device
	case unix.RTM_NEWADDR, unix.RTM_DELADDR: // of other interfaces: peers are told about those that reach far
		l := w.at(data)
		return l.name == Device || l.ours() && kind == unix.RTM_DELADDR || !l.ours() && data[addrScope] == unix.RT_SCOPE_UNIVERSE
	case unix.RTM_DELQDISC, unix.RTM_DELTFILTER:
		return w.at(data).ours()
	}
	return false
}

// at returns the interface that a message is about; the zero linkState for none.
func (w *watcher) at(data []byte) linkState {
	if len(data) < indexAt+4 {
		return linkState{}
	}
	return w.links[int32(binary.NativeEndian.Uint32(data[indexAt:]))]
}

// link notes an interface's state. What it is about matters if one of ours was removed, set down
// or changed, or if the MTU of another changed, which may be the underlay's.
func (w *watcher) link(deleted bool, data []byte) bool {
	index := int32(binary.NativeEndian.Uint32(data[indexAt:]))
	before, known := w.links[index]
	if deleted {
		delete(w.links, index)
		return before.ours()
	}
	now := linkState{name: before.name, up: binary.NativeEndian.Uint32(data[linkFlags:])&unix.IFF_UP != 0, mtu: before.mtu, mac: before.mac}
	for _, a := range attributes(data[unix.SizeofIfInfomsg:]) {
		switch {
		case a.kind == unix.IFLA_IFNAME:
			now.name = cString(a.value)
		case a.kind == unix.IFLA_MTU && len(a.value) == 4:
			now.mtu = binary.NativeEndian.Uint32(a.value)
		case a.kind == unix.IFLA_ADDRESS:
			now.mac = slices.Clone(a.value)
		}
	}
	w.links[index] = now
	if !known {
		return false
	}
	return now.mtu != before.mtu || now.ours() && (before.up && !now.up || !bytes.Equal(now.mac, before.mac))
}

// route reports whether a route of ours was removed or replaced, or a route of another program
// has appeared within the pools.
func (w *watcher) route(m syscall.NetlinkMessage) bool {
	ours := m.Data[routeProto] == routeProtocol
	replaced := m.Header.Flags&unix.NLM_F_REPLACE != 0
	if ours {
		return m.Header.Type == unix.RTM_DELROUTE || replaced
	}
	for _, a := range attributes(m.Data[unix.SizeofRtMsg:]) {
		if addr, ok := netip.AddrFromSlice(a.value); ok && a.kind == unix.RTA_DST {
			dst := netip.PrefixFrom(addr, int(m.Data[routeBits]))
			return slices.ContainsFunc(w.pools(), func(pool netip.Prefix) bool { return pool.Overlaps(dst) && dst.Bits() >= pool.Bits() })
		}
	}
	return false
}

// forwarding reports whether a message about settings concerns the whole host or an interface of ours.
func (w *watcher) forwarding(data []byte) bool {
	const netconfLen, netconfIndex, all = 4, 1, -1 // linux/netconf.h
	for _, a := range attributes(data[netconfLen:]) {
		if a.kind == netconfIndex && len(a.value) == 4 {
			index := int32(binary.NativeEndian.Uint32(a.value))
			return index == all || w.links[index].ours()
		}
	}
	return false
}

// watchKernel notifies o.disturbed after each relevant message until the socket is closed.
func (o *Overlay) watchKernel(socket *nl.NetlinkSocket) error {
	w := watcher{pools: o.pools}
	if err := inside(o.ns, w.list); err != nil {
		return err
	}
	for {
		messages, _, err := socket.Receive()
		switch {
		case errors.Is(err, os.ErrClosed), errors.Is(err, unix.EBADF):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case errors.Is(err, unix.ENOBUFS): // messages were lost
			if err := inside(o.ns, w.list); err != nil {
				return err
			}
			o.disturbed.Notify()
		case err != nil:
			return fmt.Errorf("watch the kernel: %w", err)
		}
		for _, m := range messages {
			if w.relevant(m) {
				o.disturbed.Notify()
			}
		}
	}
}
