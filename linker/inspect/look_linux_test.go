package inspect

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// sandbox makes a network namespace with a loopback interface, and returns its path. Inside
// of it, setup runs.
func sandbox(t *testing.T, setup func()) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	setup()
	if err := netns.Set(home); err != nil {
		t.Fatal(err)
	}
	return "/proc/self/fd/" + strconv.Itoa(int(ns))
}

func run(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", argv, err, out)
	}
}

func TestLookInsideOfAContainer(t *testing.T) {
	var tcp, local net.Listener
	var udp net.PacketConn
	path := sandbox(t, func() {
		var err error
		if tcp, err = net.Listen("tcp4", "0.0.0.0:80"); err != nil {
			t.Fatal(err)
		}
		if local, err = net.Listen("tcp4", "127.0.0.1:81"); err != nil {
			t.Fatal(err)
		}
		if udp, err = net.ListenPacket("udp6", "[::]:53"); err != nil {
			t.Fatal(err)
		}
	})
	defer tcp.Close()
	defer local.Close()
	defer udp.Close()
	loopback := netip.MustParseAddr("127.0.0.1")
	got := Look(t.Context(), Request{Sandbox: path, Listeners: true, To: loopback, Port: 80})
	for _, want := range []Socket{
		{"tcp", netip.MustParseAddrPort("0.0.0.0:80")}, {"tcp", netip.MustParseAddrPort("127.0.0.1:81")}, {"udp", netip.MustParseAddrPort("[::]:53")},
	} {
		if got.Sockets == nil || !slices.Contains(got.Sockets.Listening, want) {
			t.Errorf("the sockets of the container are %+v, want %+v among them", got.Sockets, want)
		}
	}
	if got.Connection == nil || got.Connection.Outcome != Connected {
		t.Errorf("a connection to a listening port is %+v, want connected", got.Connection)
	}
	got = Look(t.Context(), Request{Sandbox: path, To: loopback, Port: 82})
	if got.Connection == nil || got.Connection.Outcome != Refused {
		t.Errorf("a connection to a closed port is %+v, want refused", got.Connection)
	}
	got = Look(t.Context(), Request{Sandbox: path, Name: "db", To: netip.MustParseAddr("192.0.2.1"), Port: 80})
	if got.Connection == nil || got.Connection.Outcome != Unreachable {
		t.Errorf("a connection without a route is %+v, want unreachable", got.Connection)
	}
	if got.Answer == nil || got.Answer.Error == "" || got.Sockets != nil {
		t.Errorf("without a route to the resolver, the answer is %+v and the sockets are %+v; want an error, and nothing that was not asked", got.Answer, got.Sockets)
	}
}

func TestASandboxThatIsGone(t *testing.T) {
	got := Look(t.Context(), Request{Sandbox: "/nowhere", Listeners: true, Name: "db"})
	if got.Sockets == nil || got.Sockets.Error == "" || got.Answer == nil || got.Answer.Error == "" {
		t.Errorf("Look returned %+v, want errors that say why nothing was seen", got)
	}
}

// The way to a container of another host is read from the kernel: device, gateway, neighbour
// and forwarding entry.
func TestRouteThroughTheTunnel(t *testing.T) {
	path := sandbox(t, func() {
		for _, cmd := range [][]string{
			{"ip", "link", "add", "tb1", "type", "veth", "peer", "name", "c1"},
			{"ip", "link", "set", "tb1", "up"}, {"ip", "link", "set", "c1", "up"},
			{"ip", "addr", "add", "198.18.0.1/24", "dev", "lo"},
			{"ip", "link", "add", "vx", "type", "vxlan", "id", "7", "dstport", "8480", "local", "198.18.0.1", "nolearning"},
			{"ip", "link", "set", "vx", "up"},
			{"ip", "addr", "add", "100.64.1.1/32", "dev", "vx"},
			{"ip", "route", "add", "100.64.1.9/32", "dev", "tb1"},
			{"ip", "route", "add", "100.64.2.0/24", "via", "100.64.2.1", "dev", "vx", "onlink"},
			{"ip", "neigh", "add", "100.64.2.1", "lladdr", "02:00:00:00:00:02", "dev", "vx", "nud", "permanent"},
			{"bridge", "fdb", "add", "02:00:00:00:00:02", "dev", "vx", "dst", "198.18.0.2"},
			{"sysctl", "-qw", "net.ipv4.ip_forward=1"},
		} {
			run(t, cmd...)
		}
	})
	request := Request{From: netip.MustParseAddr("100.64.1.9"), Interface: "tb1", To: netip.MustParseAddr("100.64.2.7")}
	look := func() (out Route) {
		if err := inSandbox(path, func() { out = findRoute(request) }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := Route{Device: "vx", Gateway: netip.MustParseAddr("100.64.2.1"), Neighbour: "02:00:00:00:00:02", Peer: netip.MustParseAddr("198.18.0.2")}
	if got := look(); got != want {
		t.Errorf("the way is %+v, want %+v", got, want)
	}
	if err := inSandbox(path, func() { run(t, "ip", "neigh", "del", "100.64.2.1", "dev", "vx") }); err != nil {
		t.Fatal(err)
	}
	if got := look(); got.Neighbour != "" {
		t.Errorf("without a neighbour the way is %+v, want none named", got)
	}
	if err := inSandbox(path, func() { run(t, "sysctl", "-qw", "net.ipv4.ip_forward=0") }); err != nil {
		t.Fatal(err)
	}
	if got := look(); got.Error == "" {
		t.Errorf("on a host that does not forward, the way is %+v, want an error", got)
	}
}
