package dns

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"tombolo/dns/dnstest"
)

// cachedUpstream has every answer in its cache, so that the server starts no goroutine.
type cachedUpstream struct{ dnstest.Upstream }

func (*cachedUpstream) Cached(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetReply(q) }

var asker = netip.MustParseAddrPort("100.64.1.9:4242")

// offline returns a worker without a socket.
func offline() *udpWorker {
	s := New(Config{Zone: testZone, Viewer: dnstest.Views{asker.Addr(): testView()}, Upstream: &cachedUpstream{}})
	return newUDPWorker(s, nil)
}

// FuzzPacket gives arbitrary packets to the UDP worker. The hot path and the general path answer
// the same, the reply is not too long, and it has the query's ID.
func FuzzPacket(f *testing.F) {
	for _, c := range answerCases {
		q := c.Query()
		wire, err := q.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
		q.SetEdns0(1232, true)
		if wire, err = q.Pack(); err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Add([]byte{})
	f.Add(make([]byte, 12))
	w := offline()
	view, _ := w.server.cfg.Viewer.View(asker.Addr())
	room := make([]byte, maxUDP)
	f.Fuzz(func(t *testing.T, pkt []byte) {
		if len(pkt) > queryRoom {
			return
		}
		for range 2 { // the second time, the answer is in the memo
			comparePaths(t, pkt,
				w.answer(t.Context(), pkt, asker, room),
				w.general(t.Context(), pkt, asker, view))
		}
	})
}

func comparePaths(t *testing.T, pkt, hot, general []byte) {
	t.Helper()
	if (hot == nil) != (general == nil) {
		t.Fatalf("the hot path replies: %t, the general path replies: %t, want the same", hot != nil, general != nil)
	}
	if hot == nil {
		return
	}
	if len(hot) > maxUDP || hot[0] != pkt[0] || hot[1] != pkt[1] {
		t.Fatalf("the reply has %d bytes and the ID %x, want at most %d bytes and the ID %x", len(hot), hot[:2], maxUDP, pkt[:2])
	}
	var h, g dns.Msg
	if err := h.Unpack(hot); err != nil {
		t.Fatalf("unpack the reply of the hot path: %v", err)
	}
	if err := g.Unpack(general); err != nil {
		t.Fatalf("unpack the reply of the general path: %v", err)
	}
	if !reflect.DeepEqual(h.MsgHdr, g.MsgHdr) || !reflect.DeepEqual(h.Question, g.Question) ||
		!reflect.DeepEqual(texts(h.Answer), texts(g.Answer)) || !reflect.DeepEqual(texts(h.Ns), texts(g.Ns)) ||
		!reflect.DeepEqual(texts(h.Extra), texts(g.Extra)) {
		t.Fatalf("hot path:\n%v\ngeneral path:\n%v", &h, &g)
	}
}

// texts counts the records, in any order and in lower case: a pointer to the question gives a name
// the spelling of the question.
func texts(rrs []dns.RR) map[string]int {
	out := make(map[string]int)
	for _, rr := range rrs {
		out[strings.ToLower(rr.String())]++
	}
	return out
}

func BenchmarkAnswer(b *testing.B) {
	view := testView()
	for _, c := range []dnstest.Case{
		{Name: "A", Ask: "db.shop.tombolo.internal", Type: dns.TypeA},
		{Name: "NXDOMAIN", Ask: "x.shop.tombolo.internal", Type: dns.TypeA},
		{Name: "SRV", Ask: "_5432._tcp.db.shop.tombolo.internal", Type: dns.TypeSRV},
		{Name: "PTR", Ask: "2.1.64.100.in-addr.arpa", Type: dns.TypePTR},
	} {
		q := c.Query()
		b.Run(c.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				testZone.Answer(view, q)
			}
		})
	}
}

// BenchmarkPacket measures the time that a query takes, without the system calls.
func BenchmarkPacket(b *testing.B) {
	for _, c := range []dnstest.Case{
		{Name: "A", Ask: "db.shop.tombolo.internal", Type: dns.TypeA},
		{Name: "NXDOMAIN", Ask: "x.shop.tombolo.internal", Type: dns.TypeA},
		{Name: "SRV", Ask: "_5432._tcp.db.shop.tombolo.internal", Type: dns.TypeSRV},
		{Name: "forwarded", Ask: "example.com", Type: dns.TypeA},
	} {
		wire, err := c.Query().Pack()
		if err != nil {
			b.Fatal(err)
		}
		w := offline()
		room := make([]byte, maxUDP)
		b.Run(c.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.answer(b.Context(), wire, asker, room)
			}
		})
	}
}
