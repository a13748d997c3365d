package hostport

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestHolderFindsThisProcess(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tport := tcp.Addr().(*net.TCPAddr).AddrPort().Port()
	uport := udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	me := fmt.Sprintf("(pid %d)", os.Getpid())

	for _, tt := range []struct {
		name string
		p    Port
		held bool
	}{
		{"tcp on all", Port{Number: tport, Proto: "tcp"}, true},
		{"tcp on that address", Port{IP: netip.MustParseAddr("127.0.0.1"), Number: tport, Proto: "tcp"}, true},
		{"tcp on another address", Port{IP: netip.MustParseAddr("127.0.0.2"), Number: tport, Proto: "tcp"}, false},
		{"udp under a wildcard", Port{IP: netip.MustParseAddr("127.0.0.2"), Number: uport, Proto: "udp"}, true},
		{"sctp", Port{Number: tport, Proto: "sctp"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := holder(tt.p)
			if tt.held != strings.Contains(got, me) || tt.held != (got != "") {
				t.Errorf("holder returned %q, want this process: %v", got, tt.held)
			}
		})
	}
}

// The linker's own DNS listens on the gateway's address.
func TestSocketsOnTheGatewayBlockNoPort(t *testing.T) {
	for addr, want := range map[string]bool{"169.254.1.1": false, "0.0.0.0": true, "198.18.0.11": true} {
		s := listening{addr: netip.MustParseAddr(addr), port: 53}
		if got := s.blocks(Port{Number: 53, Proto: "udp"}); got != want {
			t.Errorf("a socket on %s blocks port 53: %v, want %v", addr, got, want)
		}
	}
}

func FuzzParseSocket(f *testing.F) {
	f.Add("tcp", "   0: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1")
	f.Add("udp", "   0: 00000000000000000000000000000000:0035 0:0 07 0:0 0:0 0 0 0 9 1")
	f.Fuzz(func(t *testing.T, proto, line string) {
		if s, ok := parseSocket(proto, line); ok && !s.addr.IsValid() {
			t.Errorf("parseSocket accepted %q, which has no address", line)
		}
	})
}
