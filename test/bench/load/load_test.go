package load

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// background runs a server until the test ends.
func background(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
}

func TestUDPLoadCountsAnswers(t *testing.T) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(Loopback))
	if err != nil {
		t.Fatal(err)
	}
	background(t, func(ctx context.Context) error { return Echo(ctx, []*net.UDPConn{conn}) })
	l := UDPLoad{Server: conn.LocalAddr().(*net.UDPAddr).AddrPort(), Query: make([]byte, 40), Sockets: 2, Outstanding: 8}
	before, err := CPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Run(t.Context(), 50*time.Millisecond)
	if err != nil || r.Answers == 0 || len(r.Latency) != r.Answers || r.Latency[0] <= 0 {
		t.Errorf("%d answers and %d latencies, want the same number above 0, with latencies above 0: %v", r.Answers, len(r.Latency), err)
	}
	if after, err := CPUTime(os.Getpid()); err != nil || after <= before {
		t.Errorf("the CPU time is %v and was %v before the load, want it to grow: %v", after, before, err)
	}
	if held, err := RSS(os.Getpid()); err != nil || held < 1<<20 {
		t.Errorf("RSS of this process = %d bytes, %v, want at least a megabyte", held, err)
	}
}

func TestUDPLoadWithoutServer(t *testing.T) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(Loopback)) // never answers
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l := UDPLoad{Server: conn.LocalAddr().(*net.UDPAddr).AddrPort(), Query: make([]byte, 40), Sockets: 1, Outstanding: 4}
	if r, err := l.Run(t.Context(), 100*time.Millisecond); err == nil || r.Lost == 0 {
		t.Errorf("without a server, Run = %+v, %v, want an error and lost queries", r, err)
	}
}

func TestStreamAndRoundTrips(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	background(t, func(ctx context.Context) error { return ServeTCP(ctx, l) })
	if rate, err := Stream(t.Context(), l.Addr().String(), 20*time.Millisecond); err != nil || rate <= 0 {
		t.Errorf("Stream = %g bytes/s, %v, want a rate above 0", rate, err)
	}
	if trips, err := RoundTrips(t.Context(), l.Addr().String(), 20*time.Millisecond); err != nil || trips.Rate <= 0 || trips.P99 < trips.P50 {
		t.Errorf("RoundTrips = %+v, %v, want a rate above 0 and P99 at least P50", trips, err)
	}
	if rate, err := Connections(t.Context(), l.Addr().String(), 20*time.Millisecond); err != nil || rate <= 0 {
		t.Errorf("Connections = %g/s, %v, want a rate above 0", rate, err)
	}
}

// The name begins to resolve after Watch has started.
func TestWatchSeesANameAppear(t *testing.T) {
	pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(Loopback))
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64 // the server answers each query in a goroutine of its own
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetRcode(q, dns.RcodeNameError)
		if asked.Add(1) > 3 {
			m = new(dns.Msg).SetReply(q)
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(100, 64, 1, 2)}}
		}
		_ = w.WriteMsg(m)
	})}
	background(t, func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = s.Shutdown() })
		defer stop()
		return s.ActivateAndServe()
	})
	at, err := Watch(t.Context(), pc.LocalAddr().(*net.UDPAddr).AddrPort(), "db")
	if err != nil || time.Since(at) > time.Second {
		t.Errorf("Watch = %v, %v, want a time within the last second", at, err)
	}
}

func TestSpreadOf(t *testing.T) {
	got := SpreadOf([]float64{5, 1, 4, 2, 3})
	if want := (Spread{Median: 3, Low: 2, High: 4, Min: 1, Max: 5, N: 5}); got != want {
		t.Errorf("SpreadOf = %+v, want %+v", got, want)
	}
	if got := SpreadOf(nil); got != (Spread{}) {
		t.Errorf("SpreadOf(nil) = %+v, want the zero value", got)
	}
}

func TestRatioOfMedians(t *testing.T) {
	if got, low, high := RatioOfMedians([]float64{4, 6, 8}, []float64{2, 3, 4}); got != 2 || low != 2 || high != 2 {
		t.Errorf("pairs with the ratio 2: %g [%g..%g], want 2 [2..2]", got, low, high)
	}
	got, low, high := RatioOfMedians([]float64{1, 2, 3, 4, 5, 6, 7}, []float64{4, 4, 4, 4, 4, 4, 4})
	if got != 1 || low >= got || high <= got {
		t.Errorf("samples that vary around the base: %g [%g..%g], want 1 within the interval", got, low, high)
	}
	if got, low, high := RatioOfMedians(nil, nil); got != 0 || low != 0 || high != 0 {
		t.Errorf("no samples: %g [%g..%g], want zeros", got, low, high)
	}
}
