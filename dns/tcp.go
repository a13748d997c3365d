package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"tombolo/internal/wake"
)

const (
	tcpIdle    = 10 * time.Second      // RFC 7766 section 6.2.3 asks for seconds
	errorPause = 20 * time.Millisecond // out of descriptors or memory: let some go first
)

// serveTCP accepts until the listener is closed, and returns when all that it
// accepted has ended.
func (s *Server) serveTCP(ctx context.Context, l *net.TCPListener) error {
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := l.AcceptTCP()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept DNS connections: %w", err)
		}
		if err != nil {
			wake.Sleep(ctx, errorPause)
			continue
		}
		from := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if !s.conns.take(from) {
			s.count.limited.Add(1)
			conn.Close()
			continue
		}
		open.Go(func() {
			defer s.conns.done(from)
			s.converse(ctx, conn, from)
		})
	}
}

// converse answers the queries of one connection, one after the other.
func (s *Server) converse(ctx context.Context, conn *net.TCPConn, from netip.Addr) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	for {
		_ = conn.SetDeadline(time.Now().Add(tcpIdle)) // fails only on a closed connection, as the read will
		pkt, err := readFrame(conn)
		if err != nil {
			return
		}
		reply := s.answerTCP(ctx, pkt, from)
		if reply == nil {
			return // garbage: the stream cannot be trusted any further
		}
		if _, err := conn.Write(frame(reply)); err != nil {
			return
		}
	}
}

func (s *Server) answerTCP(ctx context.Context, pkt []byte, from netip.Addr) []byte {
	s.count.queries.Add(1)
	view, known := s.cfg.Viewer.View(from)
	if known && view == nil {
		if view = s.await(ctx, from); view == nil {
			return s.unserved(pkt)
		}
	}
	q, r := s.resolve(view, pkt)
	switch {
	case q == nil && r == nil:
		return nil
	case r == nil:
		s.count.forwarded.Add(1)
		r = s.forwardTCP(ctx, q, from)
	case q != nil:
		s.count.answered.Add(1)
	}
	return s.pack(q, r, dns.MaxMsgSize)
}

func (s *Server) forwardTCP(ctx context.Context, q *dns.Msg, from netip.Addr) *dns.Msg {
	if r := s.cfg.Upstream.Cached(q); r != nil {
		return r
	}
	if !s.forwards.take(from) {
		s.count.limited.Add(1)
		return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	}
	defer s.forwards.done(from)
	return s.cfg.Upstream.Forward(ctx, q)
}

// readFrame reads a message behind its two bytes of length (RFC 1035 section 4.2.2).
func readFrame(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	pkt := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, pkt)
	return pkt, err
}

func frame(reply []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(reply)), uint16(len(reply))), reply...)
}
