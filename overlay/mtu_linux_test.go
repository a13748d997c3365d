package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// dropLarge makes a host's underlay lose every packet of more than size bytes that arrives,
// without a word, as firewalls do that drop ICMP.
func (h *labHost) dropLarge(size int) {
	h.t.Helper()
	for _, port := range []struct {
		ns   netns.NsHandle
		name string
	}{{h.ns, "eth0"}, {h.sw, h.Name}} { // a real card sends segments, where a virtual one sends their whole
		enter(h.t, port.ns, func() {
			link, err := netlink.LinkByName(port.name)
			must(h.t, err)
			must(h.t, netlink.LinkSetGSOMaxSegs(link, 1))
		})
	}
	runIn(h.t, h.ns, fmt.Sprintf("nft add table netdev lossy && nft add chain netdev lossy in '{ type filter hook ingress device eth0 priority 0; }' && nft add rule netdev lossy in ip length gt %d drop", size))
}

// bulkServer accepts connections on an address, sends each client size bytes and reads as many.
func bulkServer(t testing.TB, ns netns.NsHandle, addr string, size int) {
	t.Helper()
	enter(t, ns, func() {
		l, err := net.Listen("tcp", addr)
		must(t, err)
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					if _, err := io.CopyN(io.Discard, conn, int64(size)); err == nil {
						_, _ = conn.Write(make([]byte, size))
					}
				}()
			}
		}()
	})
}

// exchange sends a bulkServer size bytes and reads as many.
func exchange(t testing.TB, ns netns.NsHandle, addr string, size int, wait time.Duration) error {
	t.Helper()
	conn, err := dial(t, ns, "tcp", addr, wait)
	if err != nil {
		return err
	}
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(wait)))
	if _, err := conn.Write(make([]byte, size)); err != nil {
		return err
	}
	got, err := io.ReadAll(io.LimitReader(conn, int64(size)))
	if err == nil && len(got) != size {
		err = fmt.Errorf("got %d of %d bytes", len(got), size)
	}
	return err
}

// A path that loses large packets carries TCP in both directions as soon as one of its hosts
// knows the path's MTU, without any help of the containers.
func TestTCPFitsASmallPath(t *testing.T) {
	t.Parallel()
	a, b, box, target, _ := pair(t)
	const size = 200_000
	bulkServer(t, b.boxes[target.ID], ":90", size)
	targets := []string{at(target.Addr4, 90), at(target.Addr6, 90)}
	for _, addr := range targets {
		if err := exchange(t, box, addr, size, ample); err != nil {
			t.Fatalf("%s: %v", addr, err)
		}
	}
	a.dropLarge(1000)
	b.dropLarge(1000)
	for _, addr := range targets {
		if err := exchange(t, box, addr, size, 2*patience); err == nil {
			t.Fatalf("%s: large packets pass: the test tests nothing", addr)
		}
	}
	a.config.Peers[0].MTU = 950
	a.set()
	a.set() // a repeat leaves the routes alone
	for _, addr := range targets {
		if err := exchange(t, box, addr, size, ample); err != nil {
			t.Errorf("%s, with the MTU of the path known to the client's host alone: %v", addr, err)
		}
	}
}

// A container that sends larger packets than the path carries is told so by ICMP.
func TestSendersAreToldTheMTUOfThePath(t *testing.T) {
	t.Parallel()
	a, b, box, target, _ := pair(t)
	b.set()
	a.config.Peers[0].MTU = 1300
	a.set()
	for _, tt := range []struct {
		addr          netip.Addr
		level, option int
		headers       int
	}{
		{target.Addr4, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, 28},
		{target.Addr6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, 48},
	} {
		conn, err := dial(t, box, "udp", at(tt.addr, 80), ample)
		must(t, err)
		defer conn.Close()
		raw, err := conn.(syscall.Conn).SyscallConn()
		must(t, err)
		must(t, raw.Control(func(fd uintptr) {
			must(t, unix.SetsockoptInt(int(fd), tt.level, tt.option, unix.IP_PMTUDISC_DO))
		}))
		if _, err := echo(conn, ample); err != nil {
			t.Fatalf("%s: a small datagram is not answered: %v", tt.addr, err)
		}
		// The first large datagram brings the ICMP message, which a later one reports.
		large := bytes.Repeat([]byte("x"), 1301-tt.headers)
		for late := time.Now().Add(ample); ; time.Sleep(patience / 10) {
			_, err = conn.Write(large)
			if err != nil || time.Now().After(late) {
				break
			}
		}
		if !errors.Is(err, unix.EMSGSIZE) {
			t.Errorf("%s: a datagram of 1301 bytes for a path of 1300: %v, want that it is too long", tt.addr, err)
		}
		if _, err = conn.Write(large[1:]); err != nil {
			_, err = conn.Write(large[1:]) // the first one reported an ICMP message that came later
		}
		if err != nil {
			t.Errorf("%s: a datagram of 1300 bytes for a path of 1300: %v", tt.addr, err)
		}
	}
}

// When the MTU of the underlay shrinks, containers that run keep their interfaces as they are:
// the kernel would drop what they send, instead of telling them.
func TestTheUnderlayShrinksUnderRunningContainers(t *testing.T) {
	t.Parallel()
	a, b, box, target, _ := pair(t)
	const size = 200_000
	bulkServer(t, b.boxes[target.ID], ":90", size)
	enter(t, a.ns, func() {
		link, err := netlink.LinkByName("eth0")
		must(t, err)
		must(t, netlink.LinkSetMTU(link, 1400))
	})
	a.set()
	if a.overlay.MTU() != 1350 {
		t.Errorf("the overlay has MTU %d, want 1350", a.overlay.MTU())
	}
	b.config.Peers[0].MTU = a.overlay.MTU() // as the host tells it
	b.set()
	for _, addr := range []string{at(target.Addr4, 90), at(target.Addr6, 90)} {
		if err := exchange(t, box, addr, size, ample); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestConfigRefusesAnMTUThatIsTooSmall(t *testing.T) {
	c := goldenConfig()
	c.Peers = []Peer{{Name: "h2", MTU: MinMTU - 1}}
	if err := c.Validate(); err == nil {
		t.Errorf("an MTU of %d is accepted", MinMTU-1)
	}
}
