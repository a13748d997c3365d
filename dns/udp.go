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
	batchSize = 32   // packets per system call; more gains nothing measurable
	queryRoom = 4096 // no sane query is longer
)

// batchConn reads and writes several packets with one system call.
type batchConn interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

// udpWorker owns one socket's reading side and the memo of what it answered.
type udpWorker struct {
	server *Server
	conn   *net.UDPConn
	batch  batchConn
	in     []ipv4.Message
	out    []ipv4.Message
	room   [][]byte // a reply buffer for each packet of a batch
	key    []byte
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

// write sends what it can: a reply that the kernel refuses is the asker's loss.
func (w *udpWorker) write(out []ipv4.Message) {
	for len(out) > 0 {
		n, err := w.batch.WriteBatch(out, 0)
		if err != nil {
			n = max(n, 0) + 1
		}
		out = out[min(n, len(out)):]
	}
}

// answer returns the reply to one packet, in room where that is possible, or nil
// if there is none or it is sent later.
func (w *udpWorker) answer(ctx context.Context, pkt []byte, from netip.AddrPort, room []byte) []byte {
	s := w.server
	s.count.queries.Add(1)
	view, known := s.cfg.Viewer.View(from.Addr())
	if known && view == nil {
		w.later(ctx, bytes.Clone(pkt), from)
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

// later answers once the asker's view is known, in a goroutine of its own.
func (w *udpWorker) later(ctx context.Context, pkt []byte, from netip.AddrPort) {
	s := w.server
	if !s.forwards.take(from.Addr()) {
		s.count.limited.Add(1)
		return
	}
	s.pending.Go(func() {
		defer s.forwards.done(from.Addr())
		var reply []byte
		if view := s.await(ctx, from.Addr()); view != nil {
			reply = w.general(ctx, pkt, from, view)
		} else {
			reply = s.unserved(pkt)
		}
		if reply != nil {
			_, _ = w.conn.WriteToUDPAddrPort(reply, from) // as in forward
		}
	})
}

// prepare computes what is the same for every asking of a question in one view;
// nil if that cannot be kept.
func (w *udpWorker) prepare(view *record.View, pkt []byte) *template {
	q := new(dns.Msg)
	if q.Unpack(pkt) != nil || len(q.Question) != 1 {
		return nil
	}
	q.Question[0].Name = dns.CanonicalName(q.Question[0].Name)
	t, ok := newTemplate(w.server.cfg.Zone.Answer(view, q))
	if !ok {
		return nil
	}
	return t
}

func (w *udpWorker) general(ctx context.Context, pkt []byte, from netip.AddrPort, view *record.View) []byte {
	s := w.server
	q, r := s.resolve(view, pkt)
	switch {
	case r != nil && q != nil:
		s.count.answered.Add(1)
	case q == nil && r == nil:
		return nil
	case r == nil:
		s.count.forwarded.Add(1)
		if r = s.cfg.Upstream.Cached(q); r == nil {
			r = w.forward(ctx, q, from)
		}
	}
	if r == nil {
		return nil
	}
	return s.pack(q, r, udpSize(q))
}

// forward asks upstream in a goroutine of its own; the reply is sent when it comes.
func (w *udpWorker) forward(ctx context.Context, q *dns.Msg, from netip.AddrPort) *dns.Msg {
	s := w.server
	if !s.forwards.take(from.Addr()) {
		s.count.limited.Add(1)
		return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	}
	s.pending.Go(func() {
		defer s.forwards.done(from.Addr())
		wire := s.pack(q, s.cfg.Upstream.Forward(ctx, q), udpSize(q))
		// The asker may be gone, or the server ending: nobody is left to tell.
		_, _ = w.conn.WriteToUDPAddrPort(wire, from)
	})
	return nil
}

func udpSize(q *dns.Msg) int {
	if q == nil || q.IsEdns0() == nil {
		return classicUDP
	}
	return replySize(q.IsEdns0().UDPSize())
}
