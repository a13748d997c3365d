package dns

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"tombolo/dns/dnstest"
)

// echo is an Upstream that has every answer at hand, so that no goroutine starts.
type echo struct{ dnstest.Upstream }

func (e *echo) Cached(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetReply(q) }

var asker = netip.MustParseAddrPort("100.64.1.9:4242")

// offline is a worker without a socket.
func offline() *udpWorker {
	s := New(Config{Zone: testZone, Viewer: dnstest.Views{asker.Addr(): testView()}, Upstream: &echo{}})
	return newUDPWorker(s, nil)
}

// FuzzPacket throws bytes at the UDP path. Whatever comes, the hot path and the
// general path say the same, the reply fits and carries the query's ID.
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
		for range 2 { // the second time from the memo
			comparePaths(t, pkt,
				w.answer(t.Context(), pkt, asker, room),
				w.general(t.Context(), pkt, asker, view))
		}
	})
}

func comparePaths(t *testing.T, pkt, hot, general []byte) {
	t.Helper()
	if (hot == nil) != (general == nil) {
		t.Fatalf("hot path %v, general path %v", hot != nil, general != nil)
	}
	if hot == nil {
		return
	}
	if len(hot) > maxUDP || hot[0] != pkt[0] || hot[1] != pkt[1] {
		t.Fatalf("reply of %d bytes with ID %x to %x", len(hot), hot[:2], pkt[:2])
	}
	var h, g dns.Msg
	if err := h.Unpack(hot); err != nil {
		t.Fatalf("hot reply: %v", err)
	}
	if err := g.Unpack(general); err != nil {
		t.Fatalf("general reply: %v", err)
	}
	if !reflect.DeepEqual(h.MsgHdr, g.MsgHdr) || !reflect.DeepEqual(h.Question, g.Question) ||
		!reflect.DeepEqual(texts(h.Answer), texts(g.Answer)) || !reflect.DeepEqual(texts(h.Ns), texts(g.Ns)) ||
		!reflect.DeepEqual(texts(h.Extra), texts(g.Extra)) {
		t.Fatalf("hot path:\n%v\ngeneral path:\n%v", &h, &g)
	}
}

// texts counts records, in any order and letter case: a pointer to the question
// carries over how it was spelt.
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

// BenchmarkPacket is what a query costs the server besides the system calls.
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
