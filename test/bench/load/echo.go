package load

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/sync/errgroup"
)

// Echo sends back all packets, in batches, until ctx ends. No UDP server in Go can do less for each
// packet. It closes the sockets.
func Echo(ctx context.Context, sockets []*net.UDPConn) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range sockets {
		group.Go(func() error { return echo(ctx, s) })
	}
	<-ctx.Done()
	for _, s := range sockets {
		_ = s.Close()
	}
	return group.Wait()
}

func echo(ctx context.Context, s *net.UDPConn) error {
	conn := ipv4.NewPacketConn(s)
	var in []ipv4.Message
	for range udpBatch {
		in = append(in, ipv4.Message{Buffers: [][]byte{make([]byte, udpRoom)}})
	}
	out := make([]ipv4.Message, udpBatch)
	for ctx.Err() == nil {
		n, err := conn.ReadBatch(in, 0)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		for i, m := range in[:n] {
			out[i] = ipv4.Message{Buffers: [][]byte{m.Buffers[0][:m.N]}, Addr: m.Addr}
		}
		if _, err := conn.WriteBatch(out[:n], 0); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// Loopback is the address 127.0.0.1 with a port that the kernel picks.
var Loopback = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
