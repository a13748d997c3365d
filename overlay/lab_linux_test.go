package overlay

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// lab is a switch for the underlay and some hosts. Each is a network namespace of the test's own.
//
//	container --veth-- host h1 --veth-- switch --veth-- host h2 --veth-- container
//	                                       |
//	                                    outside
type lab struct {
	t       testing.TB
	sw      netns.NsHandle
	outside netns.NsHandle
	hosts   []*labHost
}

type labHost struct {
	Peer
	t       testing.TB
	ns, sw  netns.NsHandle // of the host and of the switch
	overlay *Overlay
	config  Config
	boxes   map[string]netns.NsHandle // the containers' network namespaces, by endpoint ID
}

var outsideAddr = netip.MustParseAddr("198.18.0.100")

func newLab(t testing.TB, hosts int) *lab {
	t.Helper()
	l := &lab{t: t, sw: newNamespace(t)}
	enter(t, l.sw, func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "br0"
		must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))
		up(t, "br0")
	})
	l.outside = l.plug("outside", outsideAddr)
	for i := 1; i <= hosts; i++ {
		l.hosts = append(l.hosts, l.newHost(i))
	}
	for _, h := range l.hosts {
		for _, other := range l.hosts {
			if other != h {
				h.config.Peers = append(h.config.Peers, other.Peer)
			}
		}
	}
	return l
}

func (l *lab) newHost(i int) *labHost {
	overlay4 := netip.AddrFrom4([4]byte{100, 64, byte(i), 1})
	h := &labHost{t: l.t, sw: l.sw, boxes: map[string]netns.NsHandle{}, Peer: Peer{
		Name: fmt.Sprintf("h%d", i), Underlay: netip.AddrFrom4([4]byte{198, 18, 0, byte(10 + i)}),
		Block4: netip.PrefixFrom(overlay4, 24).Masked(), Overlay4: overlay4,
		Block6:   netip.MustParsePrefix(fmt.Sprintf("fd42:1:2:0:%x::/80", i)),
		Overlay6: netip.MustParseAddr(fmt.Sprintf("fd42:1:2:0:%x::1", i)), MAC: HardwareAddr(overlay4),
	}}
	h.ns = l.plug(h.Name, h.Underlay)
	enter(l.t, h.ns, func() { must(l.t, setSysctl("ipv4/conf/all/rp_filter", "1")) }) // the strictest setting that hosts have
	h.config = Config{
		Self: h.Peer, Pool4: netip.MustParsePrefix("100.64.0.0/10"), Pool6: netip.MustParsePrefix("fd42:1:2::/48"),
		VNI: DefaultVNI, Port: DefaultPort,
	}
	h.restart()
	return h
}

// restart gives the host a new Overlay without any memory, as when a linker restarts.
func (h *labHost) restart() {
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("host", h.Name)
	}
	h.overlay = New(Options{Log: log, Namespace: h.ns})
}

// plug creates a namespace that has an address and is connected to the switch.
func (l *lab) plug(name string, addr netip.Addr) netns.NsHandle {
	ns := newNamespace(l.t)
	enter(l.t, l.sw, func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		must(l.t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns))}))
		port, err := netlink.LinkByName(name)
		must(l.t, err)
		br, err := netlink.LinkByName("br0")
		must(l.t, err)
		must(l.t, netlink.LinkSetMaster(port, br))
		up(l.t, name)
	})
	enter(l.t, ns, func() {
		addAddr(l.t, "eth0", netip.PrefixFrom(addr, 24))
		// The kernel would add a link-local address at some later time.
		must(l.t, setSysctl("ipv6/conf/eth0/addr_gen_mode", "1"))
		up(l.t, "eth0")
		if addr != outsideAddr {
			must(l.t, netlink.RouteAdd(&netlink.Route{Gw: net.IP(outsideAddr.AsSlice())}))
		}
	})
	return ns
}

func (h *labHost) set() {
	h.t.Helper()
	must(h.t, h.overlay.Set(h.t.Context(), h.config))
}

// endpoint returns the host's n-th endpoint.
func (h *labHost) endpoint(n int) Endpoint {
	a4, a6 := h.Overlay4.As4(), h.Overlay6.As16()
	a4[3], a6[15] = byte(n), byte(n)
	return Endpoint{ID: fmt.Sprintf("%s-%d", h.Name, n), Addr4: netip.AddrFrom4(a4), Addr6: netip.AddrFrom16(a6)}
}

// run attaches an endpoint and moves its interface into a container, as Docker does.
func (h *labHost) run(e Endpoint) netns.NsHandle {
	h.t.Helper()
	h.config.Endpoints = append(h.config.Endpoints, e)
	iface, err := h.overlay.Attach(h.t.Context(), e)
	must(h.t, err)
	box := newNamespace(h.t)
	enter(h.t, h.ns, func() {
		link, err := netlink.LinkByName(iface.Container)
		must(h.t, err)
		must(h.t, netlink.LinkSetNsFd(link, int(box)))
	})
	enter(h.t, box, func() {
		link, err := netlink.LinkByName(iface.Container)
		must(h.t, err)
		must(h.t, netlink.LinkSetName(link, "eth0"))
		addAddr(h.t, "eth0", hostPrefix(e.Addr4))
		up(h.t, "eth0")
		must(h.t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(hostPrefix(Gateway4)), Scope: netlink.SCOPE_LINK}))
		must(h.t, netlink.RouteAdd(&netlink.Route{Gw: Gateway4.AsSlice()}))
		if e.Addr6.IsValid() {
			addAddr(h.t, "eth0", hostPrefix(e.Addr6))
			must(h.t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: Gateway6.AsSlice()}))
		}
	})
	h.boxes[e.ID] = box
	return box
}

func newNamespace(t testing.TB) netns.NsHandle {
	t.Helper()
	var ns netns.NsHandle
	done := make(chan error)
	go func() { // its thread is locked to the new namespace and ends with the goroutine
		done <- func() (err error) {
			runtime.LockOSThread()
			ns, err = netns.New()
			return err
		}()
	}()
	must(t, <-done)
	t.Cleanup(func() { ns.Close() })
	enter(t, ns, func() { up(t, "lo") })
	return ns
}

// enter runs f in a namespace.
func enter(t testing.TB, ns netns.NsHandle, f func()) {
	t.Helper()
	must(t, inside(ns, func() error { f(); return nil }))
}

func addAddr(t testing.TB, name string, p netip.Prefix) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	addr := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		addr.Flags = 2 // nodad
	}
	must(t, netlink.AddrAdd(link, addr))
}

func up(t testing.TB, name string) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	must(t, netlink.LinkSetUp(link))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen answers everything on TCP and UDP with the client's address, as the server sees it.
func listen(t testing.TB, ns netns.NsHandle, addr string) {
	t.Helper()
	enter(t, ns, func() {
		tcp, err := net.Listen("tcp", addr)
		must(t, err)
		udp, err := net.ListenPacket("udp", addr)
		must(t, err)
		t.Cleanup(func() { tcp.Close(); udp.Close() })
		go serveTCP(tcp)
		go serveUDP(udp)
	})
}

func serveTCP(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buf := make([]byte, 64)
			for {
				if _, err := conn.Read(buf); err != nil {
					return
				}
				if _, err := conn.Write(addrText(conn.RemoteAddr())); err != nil {
					return
				}
			}
		}()
	}
}

func serveUDP(c net.PacketConn) {
	buf := make([]byte, 64)
	for {
		_, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(addrText(from), from)
	}
}

func addrText(client net.Addr) []byte {
	return []byte(netip.MustParseAddrPort(client.String()).Addr().Unmap().String())
}

const (
	patience = 300 * time.Millisecond // the wait for an answer that must not come
	ample    = 15 * time.Second       // the wait for an answer that must come, also on a busy machine
)

// ask connects from a namespace and returns the address that the server saw.
func ask(t testing.TB, ns netns.NsHandle, network, addr string, wait time.Duration) (string, error) {
	t.Helper()
	conn, err := dial(t, ns, network, addr, wait)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return echo(conn, wait)
}

func dial(t testing.TB, ns netns.NsHandle, network, addr string, wait time.Duration) (conn net.Conn, err error) {
	t.Helper()
	enter(t, ns, func() { conn, err = net.DialTimeout(network, addr, wait) })
	return conn, err
}

func echo(conn net.Conn, wait time.Duration) (string, error) {
	_ = conn.SetDeadline(time.Now().Add(wait))
	if _, err := conn.Write([]byte("x")); err != nil {
		return "", err
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	return string(buf[:n]), err
}

// reaches checks that the server is reached and sees the client as the address as.
func reaches(t testing.TB, ns netns.NsHandle, network, addr, as string) {
	t.Helper()
	got, err := ask(t, ns, network, addr, ample)
	if err != nil {
		t.Errorf("cannot reach %s %s: %v", network, addr, err)
	} else if got != as {
		t.Errorf("%s %s: the server saw the client as %s, want %s", network, addr, got, as)
	}
}

func cannotReach(t testing.TB, ns netns.NsHandle, network, addr string) {
	t.Helper()
	if got, err := ask(t, ns, network, addr, patience); err == nil {
		t.Errorf("%s %s answered a client that it saw as %s, want no answer", network, addr, got)
	}
}

func at(addr netip.Addr, port uint16) string { return netip.AddrPortFrom(addr, port).String() }
