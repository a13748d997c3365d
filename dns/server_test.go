package dns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"tombolo/dns/dnstest"
	"tombolo/linker/record"
)

var localhost = netip.MustParseAddr("127.0.0.1")

// start runs a server for views on a free port of 127.0.0.1 until the test ends.
func start(t *testing.T, views Viewer, up Upstream) *Server {
	t.Helper()
	others := goleak.IgnoreCurrent()
	socks, err := Listen(t.Context(), netip.AddrPortFrom(localhost, 0))
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Sockets: []*Sockets{socks}, Zone: testZone, Viewer: views, Upstream: up})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		goleak.VerifyNone(t, others)
	})
	return s
}

func exchange(t *testing.T, s *Server, network string, q *dns.Msg) *dns.Msg {
	t.Helper()
	m, _, err := (&dns.Client{Net: network, Timeout: 5 * time.Second, UDPSize: 4096}).Exchange(q, s.cfg.Sockets[0].Addr().String())
	if err != nil {
		t.Fatalf("ask over %s: %v", network, err)
	}
	return m
}

// The server answers every case of TestAnswer over UDP, the second time from its memo, and over TCP.
func TestServerAnswersOverUDPAndTCP(t *testing.T) {
	up := &dnstest.Upstream{Reply: func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeNameError) }}
	s := start(t, dnstest.Views{localhost: testView()}, up)
	for _, c := range answerCases {
		if c.Forward {
			c = dnstest.Case{Name: c.Title(), Ask: c.Ask, Type: c.Type, Rcode: dns.RcodeNameError}
		}
		for _, network := range []string{"udp", "udp", "tcp"} {
			t.Run(c.Title()+"/"+network, func(t *testing.T) {
				q := c.Query()
				q.SetEdns0(1232, false)
				got := exchange(t, s, network, q)
				c.Check(t, q, got)
				if got.IsEdns0() == nil {
					t.Error("the reply to a query with an OPT record has none")
				}
			})
		}
	}
}

func TestServerRefusesUnknownAddresses(t *testing.T) {
	s := start(t, dnstest.Views{}, &dnstest.Upstream{})
	for _, network := range []string{"udp", "tcp"} {
		c := dnstest.Case{Ask: "example.com", Type: dns.TypeA, Rcode: dns.RcodeRefused}
		q := c.Query()
		c.Check(t, q, exchange(t, s, network, q))
	}
	if got := s.Stats().Refused; got != 2 {
		t.Errorf("%d queries are counted as refused, want 2", got)
	}
}

// A container without egress could send data out in the names that it asks for.
func TestServerForwardsNothingForInternal(t *testing.T) {
	view, up := testView(), &dnstest.Upstream{}
	view.Internal = true
	s := start(t, dnstest.Views{localhost: view}, up)
	for _, network := range []string{"udp", "udp", "tcp"} {
		out := dnstest.Case{Ask: "secret.example.com", Type: dns.TypeTXT, Rcode: dns.RcodeRefused}
		q := out.Query()
		out.Check(t, q, exchange(t, s, network, q))
		in := dnstest.Case{Ask: "four", Type: dns.TypeA, Answer: []string{"four. 1 IN A 100.64.1.4"}}
		q = in.Query()
		in.Check(t, q, exchange(t, s, network, q))
	}
	if asked := up.Asked(); len(asked) > 0 {
		t.Errorf("upstream was asked for %v, want no query of an internal container", asked)
	}
}

func TestServerAnswersFromTheNewViewAtOnce(t *testing.T) {
	views := new(changingView)
	views.Store(testView())
	s := start(t, views, &dnstest.Upstream{})
	before := dnstest.Case{Ask: "four", Type: dns.TypeA, Answer: []string{"four. 1 IN A 100.64.1.4"}}
	q := before.Query()
	before.Check(t, q, exchange(t, s, "udp", q))
	views.Store(&record.View{Index: 7})
	after := dnstest.Case{Ask: "four", Type: dns.TypeA, Rcode: dns.RcodeNameError, Ns: rootSOA}
	after.Check(t, q, exchange(t, s, "udp", q))
}

type changingView struct{ atomic.Pointer[record.View] }

func (c *changingView) View(netip.Addr) (*record.View, bool) { return c.Load(), true }

// manyView returns a view with n instances of the service many.
func manyView(n int) *record.View {
	var targets []record.Target
	for i := range n {
		targets = append(targets, target(fmt.Sprintf("%d.many.shop", i+1), fmt.Sprintf("100.64.%d.%d", i/250, i%250+2), fmt.Sprintf("fd00:1:2::%x", i+1)))
	}
	return &record.View{Names: map[string]record.Answers{
		"many": {Short: true, Targets: targets, Ports: []record.Port{{Number: 80, Proto: "tcp"}}},
	}}
}

func TestServerTruncatesUDPReplies(t *testing.T) {
	s := start(t, dnstest.Views{localhost: manyView(200)}, &dnstest.Upstream{})
	cases := []struct {
		name, ask string
		qtype     uint16
		edns      uint16
		want      int // answers over UDP
	}{
		{"without EDNS", "many", dns.TypeA, 0, (512 - 22) / 16},
		{"EDNS", "many", dns.TypeA, 1232, (1232 - 22 - 11) / 16},
		{"EDNS, more than we send", "many", dns.TypeAAAA, 4096, (1232 - 22 - 11) / 28},
		{"EDNS, less than 512 bytes", "many", dns.TypeA, 100, (512 - 22 - 11) / 16},
		{"SRV", "_80._tcp.many", dns.TypeSRV, 0, 9},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q := dnstest.Case{Ask: c.ask, Type: c.qtype}.Query()
			if c.edns != 0 {
				q.SetEdns0(c.edns, false)
			}
			got := exchange(t, s, "udp", q)
			if !got.Truncated || len(got.Answer) != c.want {
				t.Errorf("over UDP: truncated = %t with %d answers, want true with %d", got.Truncated, len(got.Answer), c.want)
			}
			if got := exchange(t, s, "tcp", q); got.Truncated || len(got.Answer) != 200 {
				t.Errorf("over TCP: truncated = %t with %d answers, want false with all 200", got.Truncated, len(got.Answer))
			}
		})
	}
}

func TestServerShufflesAddresses(t *testing.T) {
	s := start(t, dnstest.Views{localhost: manyView(3)}, &dnstest.Upstream{})
	for _, network := range []string{"udp", "tcp"} {
		first := make(map[string]int)
		for range 300 {
			m := exchange(t, s, network, dnstest.Case{Ask: "many", Type: dns.TypeA}.Query())
			first[m.Answer[0].(*dns.A).A.String()]++
		}
		for addr, n := range first {
			if n < 60 || len(first) != 3 { // a fair shuffle fails this with a chance below one in a million
				t.Errorf("over %s, %s came first in %d of 300 replies, want at least 60; %d addresses came first at all, want 3", network, addr, n, len(first))
			}
		}
	}
}

// Packets that are no queries are counted, and the next query is answered as usual.
func TestServerSurvivesGarbage(t *testing.T) {
	s := start(t, dnstest.Views{localhost: testView()}, &dnstest.Upstream{})
	conn, err := net.Dial("udp", s.cfg.Sockets[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	response, _ := new(dns.Msg).SetReply(dnstest.Case{Ask: "db", Type: dns.TypeA}.Query()).Pack()
	loop := append(make([]byte, 12), 0xc0, 12, 0, 1, 0, 1)
	loop[5] = 1
	for _, pkt := range [][]byte{{}, {1}, make([]byte, 11), response, loop, append(loop[:12:12], make([]byte, 4000)...)} {
		if _, err := conn.Write(pkt); err != nil {
			t.Fatal(err)
		}
	}
	tcp, err := net.Dial("tcp", s.cfg.Sockets[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	if _, err := tcp.Write([]byte{0, 3, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if n, err := tcp.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes after sending garbage over TCP, want the connection closed", n)
	}
	c := answerCases[0]
	q := c.Query()
	c.Check(t, q, exchange(t, s, "udp", q))
	for deadline := time.Now().Add(10 * time.Second); s.Stats().Malformed < 4; time.Sleep(time.Millisecond) { // the sockets are read by different goroutines
		if time.Now().After(deadline) {
			t.Fatalf("%d packets are counted as malformed after 10s, want at least 4", s.Stats().Malformed)
		}
	}
}

func TestServerLimitsForwardedQueriesOfAnAsker(t *testing.T) {
	hold := make(chan struct{})
	up := &dnstest.Upstream{Reply: func(q *dns.Msg) *dns.Msg {
		<-hold
		return new(dns.Msg).SetReply(q)
	}}
	s := start(t, dnstest.Views{localhost: testView()}, up)
	client, err := net.Dial("udp", s.cfg.Sockets[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn := &dns.Conn{Conn: client}
	for range forwardsPerAsker + 1 {
		if err := conn.WriteMsg(dnstest.Case{Ask: "example.com", Type: dns.TypeA}.Query()); err != nil {
			t.Fatal(err)
		}
	}
	m, err := conn.ReadMsg()
	if err != nil || m.Rcode != dns.RcodeServerFailure {
		t.Errorf("a query beyond the limit got %v, %v, want SERVFAIL at once", m, err)
	}
	c := answerCases[0]
	q := c.Query()
	c.Check(t, q, exchange(t, s, "udp", q))
	close(hold)
	for range forwardsPerAsker {
		if m, err := conn.ReadMsg(); err != nil || m.Rcode != dns.RcodeSuccess {
			t.Fatalf("a query within the limit got %v, %v, want an answer", m, err)
		}
	}
	if got := s.Stats(); got.Limited != 1 || got.Forwarded != forwardsPerAsker+1 {
		t.Errorf("Stats = %+v, want 1 limited and %d forwarded queries", got, forwardsPerAsker+1)
	}
}

func TestListenTakesAnotherPortIfTheWantedOneIsInUse(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			taken := hold(t, network)
			s, err := Listen(t.Context(), taken)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.Addr().Port() == taken.Port() || s.Addr().Addr() != localhost || s.TCP.Addr().(*net.TCPAddr).AddrPort().Port() != s.Addr().Port() {
				t.Errorf("listening on UDP %v and TCP %v, want the same other port than that of %v on both", s.Addr(), s.TCP.Addr(), taken)
			}
		})
	}
}

// hold binds a port until the test ends.
func hold(t *testing.T, network string) netip.AddrPort {
	if network == "udp" {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pc.Close() })
		return pc.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestListenBeforeTheAddressExists(t *testing.T) {
	s, err := Listen(t.Context(), netip.MustParseAddrPort("198.18.255.254:0"))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// A server takes over the sockets of the one before, and answers a query that was sent in between.
func TestSocketsSurviveRestart(t *testing.T) {
	old, err := Listen(t.Context(), netip.AddrPortFrom(localhost, 0))
	if err != nil {
		t.Fatal(err)
	}
	files, err := old.Files()
	if err != nil {
		t.Fatal(err)
	}
	addr := old.Addr()
	old.Close()
	client, err := net.Dial("udp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn := &dns.Conn{Conn: client}
	c := answerCases[0]
	q := c.Query()
	if err := conn.WriteMsg(q); err != nil {
		t.Fatal(err)
	}
	socks, err := FromFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(addr.String(), socks.Addr().String()); diff != "" {
		t.Errorf("address of the sockets before and after (-before +after):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	s := New(Config{Sockets: []*Sockets{socks}, Zone: testZone, Viewer: dnstest.Views{localhost: testView()}, Upstream: &dnstest.Upstream{}})
	go func() { done <- s.Run(ctx) }()
	m, err := conn.ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	c.Check(t, q, m)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestFromFilesRefusesFilesThatAreNoSockets(t *testing.T) {
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FromFiles([]*os.File{f}); err == nil {
		t.Error("FromFiles accepted /dev/null as a socket")
	}
	if _, err := FromFiles(nil); err == nil {
		t.Error("FromFiles accepted no files at all")
	}
}

// A query of a container that has yet to be identified waits. NXDOMAIN would be wrong.
func TestServerWaitsUntilTheAskerIsIdentified(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			views := new(changingView)
			s := start(t, views, &dnstest.Upstream{})
			c := dnstest.Case{Ask: "four", Type: dns.TypeA, Answer: []string{"four. 1 IN A 100.64.1.4"}}
			time.AfterFunc(viewWait/10, func() { views.Store(testView()) })
			q := c.Query()
			c.Check(t, q, exchange(t, s, network, q))
			views.Store(nil)
			never := dnstest.Case{Ask: "four", Type: dns.TypeA, Rcode: dns.RcodeServerFailure}
			never.Check(t, q, exchange(t, s, network, q))
			if got := s.Stats().Unserved; got != 1 {
				t.Errorf("%d queries are counted as unserved, want 1", got)
			}
		})
	}
}
