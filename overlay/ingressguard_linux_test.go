package overlay

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// floodLab has an internal container on host a, and one on host b, which flood a and the outside.
type floodLab struct {
	*lab
	a, b       *labHost
	shut, open netns.NsHandle // containers of a
	free       netns.NsHandle // a container of b
	received   atomic.Int64   // datagrams that arrived at any of the targets
}

const controlPort = 7980

// outside6 is an address of the outside, own6 the one of host a by which it is reached.
var outside6, own6 = netip.MustParseAddr("2001:db8::100"), netip.MustParseAddr("2001:db8::11")

func newFloodLab(t *testing.T) *floodLab {
	l := &floodLab{lab: newLab(t, 2)}
	l.a, l.b = l.hosts[0], l.hosts[1]
	enter(t, l.outside, func() {
		addAddr(t, "eth0", netip.PrefixFrom(outside6, 64))
		for _, name := range []string{"all", "eth0"} { // while nothing is masqueraded, the pool's addresses arrive
			must(t, setSysctl("ipv4/conf/"+name+"/rp_filter", "0"))
		}
	})
	enter(t, l.a.ns, func() { addAddr(t, "eth0", netip.PrefixFrom(own6, 64)) })
	shut, free := l.a.endpoint(5), l.b.endpoint(5)
	shut.Internal = true
	for _, h := range l.hosts {
		h.config.Blocked = []HostPort{{controlPort, "udp"}}
		h.set()
	}
	l.shut, l.open, l.free = l.a.run(shut), l.a.run(l.a.endpoint(6)), l.b.run(free)
	l.a.set()
	l.b.set()
	listen(t, l.outside, ":80")
	listen(t, l.a.ns, ":80")
	l.count(l.outside, ":9")
	l.count(l.a.ns, ":9")
	l.count(l.a.ns, at(netip.IPv6Unspecified(), controlPort))
	return l
}

// count adds the datagrams that arrive at an address to l.received.
func (l *floodLab) count(ns netns.NsHandle, addr string) {
	enter(l.t, ns, func() {
		socket, err := net.ListenPacket("udp", addr)
		must(l.t, err)
		l.t.Cleanup(func() { socket.Close() })
		go func() {
			for buf := make([]byte, 64); ; l.received.Add(1) {
				if _, _, err := socket.ReadFrom(buf); err != nil {
					return
				}
			}
		}()
	})
}

// forbidden are the targets to which no policy lets the internal container, and the one of the
// other host, send datagrams. If only the table of the gates is left, sockets of the host hear datagrams to groups and IPv6.
func (l *floodLab) forbidden(gatesAlone bool) map[netns.NsHandle][]string {
	targets := map[netns.NsHandle][]string{
		l.shut: {
			at(outsideAddr, 9), at(outside6, 9), at(Gateway4, 9), at(l.a.Underlay, 9), at(l.a.Underlay, controlPort), at(l.a.Overlay4, controlPort),
		},
		l.free: {at(l.a.Overlay4, controlPort)},
	}
	if !gatesAlone {
		targets[l.shut] = append(targets[l.shut], at(own6, 9), at(own6, controlPort), at(l.a.Overlay6, controlPort),
			"255.255.255.255:9", "198.18.0.255:9", "224.0.0.1:9", "[ff02::1%eth0]:9", "[fe80::1%eth0]:9")
		targets[l.free] = append(targets[l.free], at(l.a.Overlay6, controlPort), at(l.a.Overlay6, 9))
	}
	return targets
}

// flood sends datagrams to all targets until ctx is done, and returns when none is
// on its way any more.
func (l *floodLab) flood(ctx context.Context, targets map[netns.NsHandle][]string) {
	var senders sync.WaitGroup
	for from, list := range targets {
		for _, to := range list {
			socket, target := l.sender(from, to)
			senders.Go(func() {
				defer socket.Close()
				for ; ctx.Err() == nil; time.Sleep(time.Millisecond) { // the pace of the sender
					_, _ = socket.WriteTo([]byte("x"), target) // an error says that it was refused
				}
			})
		}
	}
	senders.Wait()
	time.Sleep(patience) // for the datagrams that must not arrive
}

func (l *floodLab) sender(from netns.NsHandle, to string) (socket net.PacketConn, target *net.UDPAddr) {
	target, err := net.ResolveUDPAddr("udp", to)
	must(l.t, err)
	enter(l.t, from, func() {
		if target.Zone != "" {
			link, err := net.InterfaceByName(target.Zone)
			must(l.t, err)
			target.Zone = strconv.Itoa(link.Index)
		}
		socket, err = net.ListenPacket("udp", ":0")
		must(l.t, err)
	})
	return socket, target
}

// Not one datagram that the policy forbids leaves the host or reaches it while another program
// has emptied nftables, or a part of it, and no linker runs.
func TestNoDatagramPassesWithoutTheTable(t *testing.T) {
	t.Parallel()
	l := newFloodLab(t)
	for _, damage := range []struct {
		command    string
		gatesAlone bool
	}{
		{"nft flush ruleset", false},
		{"nft delete table netdev tombolo", false},
		{"nft flush table netdev tombolo", false},
		{"nft flush chain inet tombolo input", false},
		{"nft flush chain inet tombolo input_container", false},
		{"nft flush chain inet tombolo forward", false},
		{"nft flush chain inet tombolo from_container", false},
		{"nft delete table inet tombolo", true},
		{"nft flush table inet tombolo", true},
		{"nft flush chain inet tombolo source", true},
	} {
		t.Run(damage.command, func(t *testing.T) {
			runIn(t, l.a.ns, damage.command)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			l.flood(ctx, l.forbidden(damage.gatesAlone))
			if n := l.received.Swap(0); n != 0 {
				t.Errorf("%d datagrams arrived after %q, want none", n, damage.command)
			}
			l.a.restart()
			l.a.set()
			l.permitted()
		})
	}
}

// permitted checks that the datagrams which policy permits arrive.
func (l *floodLab) permitted() {
	l.t.Helper()
	reaches(l.t, l.open, "udp", at(outsideAddr, 80), l.a.Underlay.String())
	reaches(l.t, l.open, "udp", at(outside6, 80), own6.String())
	reaches(l.t, l.open, "udp", at(l.a.Overlay6, 80), l.a.endpoint(6).Addr6.String())
	reaches(l.t, l.b.ns, "udp", at(l.a.Overlay4, 80), l.b.Overlay4.String())
}

// The same while a linker runs and another program flushes five times a second. Each hook of the kernel
// looks the rules up anew (nft_do_chain in net/netfilter/nf_tables_core.c), so a datagram that is between
// two of them when the rules go is decided by halves: at most one for each CPU and flush. Without one of
// the rules, hundreds arrive.
func TestNoDatagramPassesWhileOthersFlush(t *testing.T) {
	t.Parallel()
	l := newFloodLab(t)
	l.a.keep()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var flooding sync.WaitGroup
	flooding.Go(func() { l.flood(ctx, l.forbidden(false)) })
	flushes := 0
	for ; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) { // the pace of the other program
		runIn(t, l.a.ns, "nft flush ruleset")
		flushes++
	}
	flooding.Wait()
	if n, most := int(l.received.Load()), flushes*runtime.NumCPU(); n > most {
		t.Errorf("%d datagrams arrived while another program flushed %d times, want at most %d", n, flushes, most)
	}
	waitFor(t, "nftables was repaired", func() bool {
		_, err := ask(t, l.open, "udp", at(outsideAddr, 80), patience)
		return err == nil
	})
	l.permitted()
}

// The kernel looks for IP within two tags of VLANs whose number is 0, after the guard.
func TestTagsOfVLANsDoNotPassTheGuard(t *testing.T) {
	t.Parallel()
	l := newFloodLab(t)
	mac := attrsOf(t, l.a.ns, HostSide(l.a.endpoint(5).ID)).HardwareAddr
	l.count(l.a.ns, at(l.a.Underlay, 7)) // where udpPacket leads
	runIn(t, l.a.ns, "nft flush ruleset")
	enter(t, l.shut, func() {
		link, err := netlink.LinkByName("eth0")
		must(t, err)
		send := frames(t, link)
		packet := udpPacket(l.a.endpoint(5).Addr4, l.a.Underlay)
		for _, tags := range []string{"", "\x81\x00\x00\x00", "\x81\x00\x00\x00\x81\x00\x00\x00", "\x88\xa8\x00\x00\x81\x00\x00\x00"} {
			frame := ethernet(mac, link.Attrs().HardwareAddr, packet)
			send(slices.Concat(frame[:12], []byte(tags), frame[12:]))
		}
	})
	time.Sleep(patience) // for the datagrams that must not arrive
	if n := l.received.Load(); n != 0 {
		t.Errorf("%d datagrams arrived, want none", n)
	}
}
