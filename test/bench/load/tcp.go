package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// The first byte of a connection tells ServeTCP what to do.
const (
	wantSink byte = 's' // read everything, then answer with the number of bytes
	wantEcho byte = 'e' // send back every byte
)

const (
	streamChunk = 128 << 10
	dialTimeout = 5 * time.Second
)

// ServeTCP is the server of Stream and RoundTrips. It runs until ctx ends and closes l.
func ServeTCP(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		open.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			serveConn(conn)
		})
	}
}

func serveConn(conn net.Conn) {
	var want [1]byte
	if _, err := io.ReadFull(conn, want[:]); err != nil {
		return
	}
	if want[0] == wantEcho {
		_, _ = io.CopyBuffer(onlyWriter{conn}, onlyReader{conn}, make([]byte, 4096)) // hides the sockets, because splice would not be a round trip through the program
		return
	}
	n := sink(conn)
	_ = binary.Write(conn, binary.BigEndian, n) // the client notices an error
}

func sink(conn net.Conn) (total uint64) {
	for buf := make([]byte, streamChunk); ; {
		n, err := conn.Read(buf)
		total += uint64(n)
		if err != nil {
			return total
		}
	}
}

type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }

func dialFor(ctx context.Context, addr string, want byte, d time.Duration) (*net.TCPConn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(d + 2*dialTimeout)) // fails only on a closed connection
	_, err = conn.Write([]byte{want})
	return conn.(*net.TCPConn), err
}

// Stream sends data for the time d and returns the number of bytes per second that arrived.
func Stream(ctx context.Context, addr string, d time.Duration) (float64, error) {
	conn, err := dialFor(ctx, addr, wantSink, d)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	began := time.Now()
	for chunk := make([]byte, streamChunk); time.Since(began) < d; {
		if _, err := conn.Write(chunk); err != nil {
			return 0, fmt.Errorf("stream to %s: %w", addr, err)
		}
	}
	if err := conn.CloseWrite(); err != nil {
		return 0, err
	}
	var arrived uint64
	if err := binary.Read(conn, binary.BigEndian, &arrived); err != nil {
		return 0, fmt.Errorf("stream to %s: %w", addr, err)
	}
	return float64(arrived) / time.Since(began).Seconds(), nil
}

// Trips is the result of RoundTrips.
type Trips struct {
	Rate     float64 // per second
	P50, P99 time.Duration
}

// RoundTrips repeats for the time d: it sends a byte and waits for its echo.
func RoundTrips(ctx context.Context, addr string, d time.Duration) (Trips, error) {
	conn, err := dialFor(ctx, addr, wantEcho, d)
	if err != nil {
		return Trips{}, err
	}
	defer conn.Close()
	var took []time.Duration
	began := time.Now()
	for at, b := began, make([]byte, 1); at.Sub(began) < d; {
		if _, err := conn.Write(b); err != nil {
			return Trips{}, err
		}
		if _, err := io.ReadFull(conn, b); err != nil {
			return Trips{}, err
		}
		now := time.Now()
		took = append(took, now.Sub(at))
		at = now
	}
	rate := float64(len(took)) / time.Since(began).Seconds()
	slices.Sort(took)
	return Trips{Rate: rate, P50: Quantile(took, 0.5), P99: Quantile(took, 0.99)}, nil
}

// Connections repeats for the time d: it connects, sends a byte, waits for its echo and ends the
// connection. It returns the number of connections per second.
func Connections(ctx context.Context, addr string, d time.Duration) (float64, error) {
	n := 0
	began := time.Now()
	for b := make([]byte, 1); time.Since(began) < d; n++ {
		conn, err := dialFor(ctx, addr, wantEcho, d)
		if err != nil {
			return 0, err
		}
		_, err = conn.Write(b)
		if err == nil {
			_, err = io.ReadFull(conn, b)
		}
		_ = conn.SetLinger(0) // a reset leaves no port behind in TIME_WAIT
		_ = conn.Close()
		if err != nil {
			return 0, fmt.Errorf("connect to %s: %w", addr, err)
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
