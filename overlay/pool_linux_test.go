package overlay

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheckPool(t *testing.T) {
	t.Parallel()
	h := newLab(t, 2).hosts[0]
	h.set()
	h.run(h.endpoint(5))
	check := func() error {
		return inside(h.ns, func() error { return CheckPool(h.config.Pool4, netip.Prefix{}, h.config.Pool6) })
	}
	if err := check(); err != nil {
		t.Errorf("our own routes and the default route overlap: %v", err)
	}
	for _, c := range []struct{ make, undo, says string }{
		{"ip route add 100.96.0.0/16 dev eth0", "ip route del 100.96.0.0/16", "100.96.0.0/16 on eth0 (table 254)"},
		{"ip route add 100.100.1.1 dev eth0 table 52", "ip route del 100.100.1.1 table 52", "100.100.1.1/32 on eth0 (table 52)"},
		{"ip addr add 100.77.0.1/32 dev lo", "ip addr del 100.77.0.1/32 dev lo", "100.77.0.1/32 on lo (table 255)"},
		{"ip route add 100.0.0.0/8 dev eth0", "ip route del 100.0.0.0/8", "100.0.0.0/8 on eth0 (table 254)"},
		{"ip route add blackhole fd42:1:2:9::/64", "ip route del blackhole fd42:1:2:9::/64", "fd42:1:2:9::/64"},
	} {
		runIn(t, h.ns, c.make)
		err := check()
		if !errors.Is(err, ErrPoolOverlap) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.make, err)
		}
		runIn(t, h.ns, c.undo)
	}
	runIn(t, h.ns, "ip route add 0.0.0.0/1 dev eth0 && ip route add 128.0.0.0/1 dev eth0")
	if err := check(); err != nil {
		t.Errorf("a default route in halves: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	for _, c := range []struct {
		name, proto, listens string
		ip                   string // asked for; "" is every address
		taken                bool
	}{
		{"free", "tcp", "", "", false},
		{"everywhere, asked everywhere", "tcp", "0.0.0.0:80", "", true},
		{"everywhere, asked for one", "udp", "0.0.0.0:80", "198.18.0.11", true},
		{"one, asked everywhere", "tcp", "127.0.0.1:80", "", true},
		{"one, asked for another", "tcp", "127.0.0.1:80", "198.18.0.11", false},
		{"IPv6 only, asked everywhere", "tcp", "[::1]:80", "", true},
		{"both families, asked for IPv4", "udp", "[::]:80", "127.0.0.1", true},
		{"other protocol", "udp", "", "", false},
	} {
		enter(t, l.hosts[0].ns, func() {
			if c.listens != "" {
				if c.proto == "tcp" {
					s, err := net.Listen("tcp", c.listens)
					must(t, err)
					defer s.Close()
				} else {
					s, err := net.ListenPacket("udp", c.listens)
					must(t, err)
					defer s.Close()
				}
			}
			var ip netip.Addr
			if c.ip != "" {
				ip = netip.MustParseAddr(c.ip)
			}
			err := PortTaken(c.proto, ip, 80)
			if errors.Is(err, ErrPortTaken) != c.taken || !c.taken && err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if c.taken && !strings.Contains(err.Error(), "overlay.test (pid ") {
				t.Errorf("%s: the holder is not named: %v", c.name, err)
			}
		})
	}
}

func TestPortNotTaken(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	listen(t, l.outside, ":4000")
	enter(t, l.hosts[0].ns, func() {
		// A connection that merely left from the port.
		d := net.Dialer{LocalAddr: &net.TCPAddr{Port: 80}}
		conn, err := d.Dial("tcp", at(outsideAddr, 4000))
		must(t, err)
		defer conn.Close()
		if err := PortTaken("tcp", netip.Addr{}, 80); err != nil {
			t.Errorf("an outgoing connection: %v", err)
		}
		if err := PortTaken("tcp", outsideAddr, 80); !errors.Is(err, unix.EADDRNOTAVAIL) {
			t.Errorf("an address of somebody else: %v", err)
		}
		if err := PortTaken("icmp", netip.Addr{}, 80); err == nil {
			t.Error("icmp has ports")
		}
		if err := PortTaken("sctp", netip.Addr{}, 80); err != nil {
			t.Errorf("sctp: %v", err)
		}
	})
}

func FuzzParseListener(f *testing.F) {
	f.Add("   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0")
	f.Add("   1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 77 1")
	f.Add("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode")
	f.Fuzz(func(t *testing.T, line string) {
		if local, inode, ok := parseListener(line); ok && (!local.Addr().IsValid() || inode == "") {
			t.Errorf("%q: %v %q", line, local, inode)
		}
	})
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 1, 2, 3, 4})
	f.Add([]byte{5, 0, 1, 0x80, 1, 0, 0, 0, 4, 0, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		addElements(contents{}, "pairs4", b)
		_, _, _ = parseCounter(b)
	})
}
