package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const bridgeName = "lab0"

// InUnderlay runs f on a thread in the underlay's network namespace. A socket that f
// opens stays there.
func InUnderlay(f func() error) error {
	ns, err := netns.GetFromPath(Netns)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", Netns, err)
	}
	defer ns.Close()
	return inNetns(func() error { return netns.Set(ns) }, f)
}

// makeUnderlay makes the underlay's namespace, with its bridge.
func makeUnderlay() error {
	return inNetns(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() error {
		if err := os.WriteFile(Netns, nil, 0o600); err != nil {
			return err
		}
		// The mount keeps the namespace alive.
		if err := unix.Mount("/proc/thread-self/ns/net", Netns, "none", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount network namespace on %s: %w", Netns, err)
		}
		if err := setUp("lo"); err != nil {
			return err
		}
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}}
		if err := netlink.LinkAdd(br); err != nil {
			return fmt.Errorf("create bridge %s: %w", bridgeName, err)
		}
		return setUp(bridgeName, netip.PrefixFrom(Gateway, Underlay.Bits()))
	})
}

// removeUnderlay removes the underlay's namespace, and with it all of its interfaces.
func removeUnderlay() error {
	err := unix.Unmount(Netns, unix.MNT_DETACH)
	if errors.Is(err, unix.EINVAL) { // nothing is mounted: makeUnderlay was killed
		err = nil
	}
	if err == nil {
		err = os.Remove(Netns)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the underlay's network namespace: %w", err)
	}
	return nil
}

// connect joins the network namespace of process pid to the underlay by a veth pair. The
// end in the host is eth0, with addr and a default route.
func connect(pid int, name string, addr netip.Addr) error {
	if err := InUnderlay(func() error { return addVeth(pid, name) }); err != nil {
		return err
	}
	ns, err := netns.GetFromPid(pid)
	if err != nil {
		return fmt.Errorf("open network namespace of %s: %w", name, err)
	}
	defer ns.Close()
	return inNetns(func() error { return netns.Set(ns) }, func() error {
		if err := setUp("lo"); err != nil {
			return err
		}
		if err := setUp("eth0", netip.PrefixFrom(addr, Underlay.Bits())); err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{Gw: Gateway.AsSlice()})
	})
}

// addVeth adds a veth named name to the bridge, with its peer in the network namespace of
// process pid.
func addVeth(pid int, name string) error {
	br, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return fmt.Errorf("find %s: %w", bridgeName, err)
	}
	// The kernel may still be removing the namespace of the host that was killed.
	if old, err := netlink.LinkByName(name); err == nil {
		if err := netlink.LinkDel(old); err != nil {
			return fmt.Errorf("remove the old veth of %s: %w", name, err)
		}
	}
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: name, MasterIndex: br.Attrs().Index},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsPid(pid),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("create veth of %s: %w", name, err)
	}
	return setUp(name)
}

// inNetns runs f on a locked thread after enter has moved that thread into another
// network namespace, and moves the thread back.
func inNetns(enter, f func() error) error {
	runtime.LockOSThread()
	old, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("get network namespace: %w", err)
	}
	defer old.Close()
	if err := enter(); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace: %w", err)
	}
	ferr := f()
	if err := netns.Set(old); err != nil {
		// Leave the thread locked, so that the runtime ends it with this goroutine.
		return errors.Join(ferr, fmt.Errorf("leave network namespace: %w", err))
	}
	runtime.UnlockOSThread()
	return ferr
}

// setUp gives an interface its addresses and sets it up.
func setUp(name string, addrs ...netip.Prefix) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	for _, p := range addrs {
		ipnet := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: ipnet}); err != nil {
			return fmt.Errorf("add %s to %s: %w", p, name, err)
		}
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// Partition cuts a host off the underlay, as if its cable were pulled.
func (l *Lab) Partition(name string) error { return l.setCable(name, netlink.LinkSetDown) }

// Heal connects a host to the underlay again.
func (l *Lab) Heal(name string) error { return l.setCable(name, netlink.LinkSetUp) }

func (l *Lab) setCable(name string, set func(netlink.Link) error) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	if !h.Alive() {
		return fmt.Errorf("host %s is dead and has no network (start it with: tombolo lab start %[1]s)", name)
	}
	return InUnderlay(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find the cable of %s: %w", name, err)
		}
		return set(link)
	})
}
