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
	tcpIdle    = 10 * time.Second      // RFC 7766 section 6.2.3 recommends a few seconds
	errorPause = 20 * time.Millisecond // without descriptors or memory, retrying at once would only burn CPU
)

// serveTCP accepts connections until the listener is closed. It returns when all of them have
// ended.
func (s *Server) serveTCP(ctx context.Context, l *net.TCPListener) error {
	var conns sync.WaitGroup
	defer conns.Wait()
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
		if !s.conns.acquire(from) {
			s.count.limited.Add(1)
			conn.Close()
			continue
		}
		conns.Go(func() {
			defer s.conns.release(from)
			s.serveConn(ctx, conn, from)
		})
	}
}

// serveConn answers the queries of one connection, one after the other.
func (s *Server) serveConn(ctx context.Context, conn *net.TCPConn, from netip.Addr) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	for {
		_ = conn.SetDeadline(time.Now().Add(tcpIdle)) // fails only on a closed connection, where the read fails too
		pkt, err := readFrame(conn)
		if err != nil {
			return
		}
		reply := s.answerTCP(ctx, pkt, from)
		if reply == nil {
			return // the message was malformed, so the next length may be wrong too
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
		if view = s.awaitView(ctx, from); view == nil {
			return s.replyUnserved(pkt)
		}
	}
	maxSize := func(*dns.Msg) int { return dns.MaxMsgSize }
	return s.answer(view, pkt, maxSize, func(q *dns.Msg) *dns.Msg {
		if !s.forwards.acquire(from) {
			s.count.limited.Add(1)
			return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		defer s.forwards.release(from)
		return s.cfg.Upstream.Forward(ctx, q)
	})
}

// readFrame reads a message and, before it, the two bytes of its length (RFC 1035 section 4.2.2).
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
