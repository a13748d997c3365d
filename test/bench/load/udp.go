package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sync/errgroup"
)

const (
	udpBatch  = 32
	udpRoom   = 2048
	lossAfter = 200 * time.Millisecond
)

// UDPLoad sends the same query again and again.
type UDPLoad struct {
	Server      netip.AddrPort
	Query       []byte // the first two bytes are replaced by a number
	Sockets     int    // number of sockets
	Outstanding int    // number of unanswered queries on each socket
}

// UDPResult counts the answers.
type UDPResult struct {
	Answers int
	Lost    int
	Latency []time.Duration // sorted
}

// Run sends queries for about the time d. A reply counts if it is at least as long as the query and
// has its number. No reply at all is an error.
func (l UDPLoad) Run(ctx context.Context, d time.Duration) (UDPResult, error) {
	group, ctx := errgroup.WithContext(ctx)
	results := make([]UDPResult, l.Sockets)
	end := time.Now().Add(d)
	for i := range results {
		group.Go(func() (err error) {
			results[i], err = l.flow(ctx, end)
			return err
		})
	}
	err := group.Wait()
	var sum UDPResult
	for _, r := range results {
		sum.Answers += r.Answers
		sum.Lost += r.Lost
		sum.Latency = append(sum.Latency, r.Latency...)
	}
	slices.Sort(sum.Latency)
	if err == nil && sum.Answers == 0 {
		err = fmt.Errorf("no answer from %s", l.Server)
	}
	return sum, err
}

// flow has the queries and replies of one socket.
type flow struct {
	UDPResult
	conn  *ipv4.PacketConn
	in    []ipv4.Message
	out   []ipv4.Message
	sent  []time.Time // by the query's number; zero means that the query is answered
	query []byte
}

func (l UDPLoad) flow(ctx context.Context, end time.Time) (UDPResult, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(l.Server))
	if err != nil {
		return UDPResult{}, err
	}
	defer conn.Close()
	f := &flow{conn: ipv4.NewPacketConn(conn), sent: make([]time.Time, l.Outstanding), query: l.Query}
	for range udpBatch {
		f.in = append(f.in, ipv4.Message{Buffers: [][]byte{make([]byte, udpRoom)}})
	}
	for i := range l.Outstanding {
		f.queue(uint16(i))
	}
	for ctx.Err() == nil && time.Now().Before(end) {
		if err := f.flush(); err != nil {
			return f.UDPResult, err
		}
		if err := conn.SetReadDeadline(time.Now().Add(lossAfter)); err != nil {
			return f.UDPResult, err
		}
		n, err := f.conn.ReadBatch(f.in, 0)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			f.resend()
			continue
		}
		if err != nil {
			return f.UDPResult, err
		}
		f.take(n)
	}
	return f.UDPResult, nil
}

func (f *flow) queue(number uint16) {
	pkt := append([]byte(nil), f.query...)
	binary.BigEndian.PutUint16(pkt, number)
	f.out = append(f.out, ipv4.Message{Buffers: [][]byte{pkt}})
}

func (f *flow) flush() error {
	now := time.Now()
	for _, m := range f.out {
		f.sent[binary.BigEndian.Uint16(m.Buffers[0])] = now
	}
	for rest := f.out; len(rest) > 0; {
		n, err := f.conn.WriteBatch(rest, 0)
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	f.out = f.out[:0]
	return nil
}

// take counts n replies and queues the same queries again.
func (f *flow) take(n int) {
	now := time.Now()
	for _, m := range f.in[:n] {
		reply := m.Buffers[0][:m.N]
		if len(reply) < len(f.query) {
			continue
		}
		number := binary.BigEndian.Uint16(reply)
		if int(number) >= len(f.sent) || f.sent[number].IsZero() {
			continue
		}
		f.Answers++
		f.Latency = append(f.Latency, now.Sub(f.sent[number]))
		f.sent[number] = time.Time{}
		f.queue(number)
	}
}

// resend counts all queries as lost and queues them again. No reply has come for lossAfter.
func (f *flow) resend() {
	for i := range f.sent {
		f.Lost++
		f.queue(uint16(i))
	}
}
