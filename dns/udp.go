package dns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"tombolo/internal/wake"
	"tombolo/linker/record"
)

const (
	batchSize = 32   // packets per system call; a larger batch is not measurably faster
	queryRoom = 4096 // bytes; longer queries are cut and then malformed
)

// batchConn reads and writes several packets with one system call.
type batchConn interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

// udpWorker reads one socket and keeps a memo of its answers. One goroutine uses it.
type udpWorker struct {
	server *Server
	conn   *net.UDPConn
	batch  batchConn
	in     []ipv4.Message
	out    []ipv4.Message
	room   [][]byte // a buffer for the reply to each packet of a batch
	key    []byte   // a buffer for question.key
	memo   *memo
	fair   *fair
}

func (s *Server) serveUDP(ctx context.Context, conn *net.UDPConn) error {
	w := newUDPWorker(s, conn)
	for ctx.Err() == nil {
		n, err := w.batch.ReadBatch(w.in, 0)
		switch {
		case err == nil:
			w.memo.sweep(time.Now())
			w.write(w.answerAll(ctx, w.in[:n]))
		case errors.Is(err, net.ErrClosed) && ctx.Err() == nil:
			return fmt.Errorf("read DNS packets: %w", err)
		default:
			wake.Sleep(ctx, errorPause)
		}
	}
	return nil
}

func newUDPWorker(s *Server, conn *net.UDPConn) *udpWorker {
	w := &udpWorker{server: s, conn: conn, memo: newMemo(), fair: newFair(), key: make([]byte, 0, 260)}
	if conn != nil {
		w.batch = newBatchConn(conn)
	}
	for range batchSize {
		w.in = append(w.in, ipv4.Message{Buffers: [][]byte{make([]byte, queryRoom)}})
		w.room = append(w.room, make([]byte, maxUDP))
	}
	return w
}

func newBatchConn(conn *net.UDPConn) batchConn {
	if conn.LocalAddr().(*net.UDPAddr).IP.To4() != nil {
		return ipv4.NewPacketConn(conn)
	}
	return ipv6.NewPacketConn(conn)
}

func (w *udpWorker) answerAll(ctx context.Context, in []ipv4.Message) []ipv4.Message {
	out := w.out[:0]
	w.fair.batch(len(in))
	for i := range in {
		m := &in[i]
		to, ok := m.Addr.(*net.UDPAddr)
		if !ok {
			continue
		}
		from := to.AddrPort()
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if !w.fair.allow(from.Addr()) {
			w.server.count.limited.Add(1)
			continue
		}
		if reply := w.answer(ctx, m.Buffers[0][:m.N], from, w.room[i]); reply != nil {
			out = append(out, ipv4.Message{Buffers: [][]byte{reply}, Addr: m.Addr})
		}
	}
	w.out = out
	return out
}

// write sends the replies. It skips those that the kernel does not accept, like lost packets.
func (w *udpWorker) write(out []ipv4.Message) {
	for len(out) > 0 {
		n, err := w.batch.WriteBatch(out, 0)
		if err != nil {
			n = max(n, 0) + 1
		}
		out = out[min(n, len(out)):]
	}
}

// answer returns the reply to one packet, or nil if there is none or it is sent later. The reply
// may use the buffer room.
func (w *udpWorker) answer(ctx context.Context, pkt []byte, from netip.AddrPort, room []byte) []byte {
	s := w.server
	s.count.queries.Add(1)
	view, known := s.cfg.Viewer.View(from.Addr())
	if known && view == nil {
		w.answerLater(ctx, bytes.Clone(pkt), from)
		return nil
	}
	q, ok := parse(pkt, w.key)
	if !ok || view == nil {
		return w.general(ctx, pkt, from, view)
	}
	kept := w.memo.of(from.Addr(), view)
	t := kept.answers[string(q.key)]
	if t == nil {
		if t = w.prepare(view, pkt); t == nil {
			return w.general(ctx, pkt, from, view)
		}
		kept.put(q.key, t)
	}
	if !t.forward {
		if reply := t.render(pkt, &q, room); reply != nil {
			s.count.answered.Add(1)
			return reply
		}
	}
	return w.general(ctx, pkt, from, view)
}

// answerLater starts a goroutine that answers when the asker has a view.
func (w *udpWorker) answerLater(ctx context.Context, pkt []byte, from netip.AddrPort) {
	s := w.server
	if !s.forwards.acquire(from.Addr()) {
		s.count.limited.Add(1)
		return
	}
	s.pending.Go(func() {
		defer s.forwards.release(from.Addr())
		var reply []byte
		if view := s.awaitView(ctx, from.Addr()); view != nil {
			reply = w.general(ctx, pkt, from, view)
		} else {
			reply = s.replyUnserved(pkt)
		}
		w.send(reply, from)
	})
}

// prepare returns the part of the answer that is the same each time, or nil if the answer has to
// be built anew each time.
func (w *udpWorker) prepare(view *record.View, pkt []byte) *template {
	q := new(dns.Msg)
	if q.Unpack(pkt) != nil || len(q.Question) != 1 {
		return nil
	}
	q.Question[0].Name = dns.CanonicalName(q.Question[0].Name)
	return newTemplate(w.server.cfg.Zone.Answer(view, q))
}

// general answers without the memo.
func (w *udpWorker) general(ctx context.Context, pkt []byte, from netip.AddrPort, view *record.View) []byte {
	return w.server.answer(view, pkt, udpSize, func(q *dns.Msg) *dns.Msg { return w.forward(ctx, q, from) })
}

// forward starts a goroutine that asks upstream and sends the reply. It returns SERVFAIL if the
// asker has too many queries under way, else nil.
func (w *udpWorker) forward(ctx context.Context, q *dns.Msg, from netip.AddrPort) *dns.Msg {
	s := w.server
	if !s.forwards.acquire(from.Addr()) {
		s.count.limited.Add(1)
		return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	}
	s.pending.Go(func() {
		defer s.forwards.release(from.Addr())
		w.send(s.pack(q, s.cfg.Upstream.Forward(ctx, q), udpSize(q)), from)
	})
	return nil
}

// send sends a reply, if there is one. It fails if the asker is gone or the server is about to
// end; then nobody waits for the reply.
func (w *udpWorker) send(reply []byte, to netip.AddrPort) {
	if reply != nil {
		_, _ = w.conn.WriteToUDPAddrPort(reply, to)
	}
}

// udpSize returns the size of the largest UDP reply to q; a nil q has no OPT record.
func udpSize(q *dns.Msg) int {
	if q == nil || q.IsEdns0() == nil {
		return classicUDP
	}
	return replySize(q.IsEdns0().UDPSize())
}
