package hostport

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// maxRelays bounds the connections and UDP clients of one port that are relayed at a
	// time. Each takes two descriptors of the linker.
	maxRelays = 256
	// dialTimeout is how long one target may take to accept a connection.
	dialTimeout = 5 * time.Second
)

// accept relays the connections to ::1 until the socket is closed.
func (s *socket) accept(l net.Listener) {
	slots := make(chan struct{}, maxRelays)
	for {
		c, err := l.Accept()
		if s.ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return
		}
		if err != nil { // out of descriptors, or the client has gone
			time.Sleep(10 * time.Millisecond)
			continue
		}
		client := c.(*net.TCPConn)
		select {
		case slots <- struct{}{}:
		default:
			reset(client)
			continue
		}
		s.relays.Go(func() {
			defer func() { <-slots }()
			s.relay(client)
		})
	}
}

// relay resets connections to other addresses than ::1: they have come here because the rules
// that lead to containers are missing.
func (s *socket) relay(client *net.TCPConn) {
	if !toLoopback6(client.LocalAddr()) {
		reset(client)
		return
	}
	server := s.dial()
	if server == nil {
		reset(client)
		return
	}
	stop := context.AfterFunc(s.ctx, func() { client.Close(); server.Close() })
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		forward(server, client)
	}()
	forward(client, server)
	<-done
	client.Close()
	server.Close()
}

// dial connects to the first target that accepts. It returns nil if none does.
func (s *socket) dial() *net.TCPConn {
	for _, target := range s.ports.targets(s.port) {
		c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(s.ctx, "tcp", target.String())
		if err == nil {
			return c.(*net.TCPConn)
		}
	}
	return nil
}

// forward copies one direction of a connection, and its end.
func forward(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		reset(to) // the other direction ends too
		return
	}
	_ = to.CloseWrite()
}

// reset closes a connection so that the peer gets an error, not the end of the data.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func toLoopback6(local net.Addr) bool {
	addr, err := netip.ParseAddrPort(local.String())
	return err == nil && addr.Addr() == netip.IPv6Loopback()
}

func shuffled(all []netip.AddrPort) []netip.AddrPort {
	out := slices.Clone(all)
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	slices.SortStableFunc(out, func(a, b netip.AddrPort) int { return a.Addr().BitLen() - b.Addr().BitLen() })
	return out
}
