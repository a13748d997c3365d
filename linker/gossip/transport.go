package gossip

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// streamTimeout bounds one exchange over TCP.
const streamTimeout = 5 * time.Second

// dialTimeout bounds the opening of a TCP connection to a peer.
const dialTimeout = 2 * time.Second

// transport stands between memberlist and the sockets. It drops the messages that its
// filter refuses. Shutdown closes every connection, because memberlist's goroutines
// would otherwise stay in them.
type transport struct {
	memberlist.NodeAwareTransport
	filter   filter
	counts   *counters
	dial     func(memberlist.Address, time.Duration) (net.Conn, error)
	packets  chan *memberlist.Packet
	streams  chan net.Conn
	stop     context.CancelFunc
	done     <-chan struct{}
	admitted admission
	pumps    sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil after Shutdown
}

// newTransport listens on cfg.Bind, or uses cfg.Transport if that is set.
func newTransport(cfg Config, counts *counters) (*transport, error) {
	ctx, stop := context.WithCancel(context.Background())
	t := &transport{
		NodeAwareTransport: cfg.Transport,
		filter:             filter{label: clusterLabel, encrypted: len(cfg.Keys) > 0},
		counts:             counts,
		packets:            make(chan *memberlist.Packet),
		streams:            make(chan net.Conn),
		stop:               stop,
		done:               ctx.Done(),
		conns:              map[net.Conn]bool{},
	}
	if cfg.Transport == nil {
		sockets, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{cfg.Bind.Addr().String()},
			BindPort:  int(cfg.Bind.Port()),
			Logger:    newLogger(cfg.Log, counts),
		})
		if err != nil {
			stop()
			return nil, fmt.Errorf("listen on %s: %w", cfg.Bind, err)
		}
		t.NodeAwareTransport = sockets
		t.dial = func(a memberlist.Address, _ time.Duration) (net.Conn, error) {
			d := net.Dialer{Timeout: dialTimeout}
			return d.DialContext(ctx, "tcp", a.Addr)
		}
	} else {
		t.dial = cfg.Transport.DialAddressTimeout
	}
	t.pumps.Go(func() { pump(t, t.NodeAwareTransport.PacketCh(), t.packets, t.acceptPacket) })
	t.pumps.Go(func() { pump(t, t.NodeAwareTransport.StreamCh(), t.streams, t.acceptStream) })
	return t, nil
}

// pump sends the values of in that accept lets pass to out, until Shutdown.
func pump[T any](t *transport, in <-chan T, out chan<- T, accept func(T) (T, bool)) {
	for {
		select {
		case <-t.done:
			return
		case v := <-in:
			v, ok := accept(v)
			if !ok {
				continue
			}
			select {
			case out <- v:
			case <-t.done:
				return
			}
		}
	}
}

// acceptPacket counts and drops a packet that the filter refuses.
func (t *transport) acceptPacket(p *memberlist.Packet) (*memberlist.Packet, bool) {
	if err := t.filter.packet(p.Buf); err != nil {
		t.counts.malformed.Add(1)
		return nil, false
	}
	return p, true
}

// acceptStream closes a connection beyond the limits.
func (t *transport) acceptStream(c net.Conn) (net.Conn, bool) {
	if err := t.admitted.enter(c); err != nil {
		t.counts.refused.add(err)
		c.Close()
		return nil, false
	}
	tracked := t.track(c, t.filter.stream)
	tracked.left = sync.OnceFunc(func() { t.admitted.leave(c) })
	return tracked, true
}

func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }
func (t *transport) StreamCh() <-chan net.Conn           { return t.streams }

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout sets a deadline on the connection, because memberlist sets none when
// it sends a user message.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	c, err := t.dial(a, timeout)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(streamTimeout)); err != nil {
		c.Close()
		return nil, err
	}
	return t.track(c, t.filter.reply), nil
}

func (t *transport) Shutdown() error {
	err := t.NodeAwareTransport.Shutdown()
	t.stop()
	t.pumps.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		c.Close()
	}
	t.conns = nil
	return err
}

// track returns a connection that runs check at its first Read and that Shutdown
// closes.
func (t *transport) track(c net.Conn, check func(*bufio.Reader) error) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns == nil {
		c.Close()
	} else {
		t.conns[c] = true
	}
	return &conn{
		Conn: c, in: bufio.NewReaderSize(io.LimitReader(c, MaxStreamBytes), filterPeek),
		check: check, owner: t, left: func() {},
	}
}

type conn struct {
	net.Conn
	in    *bufio.Reader
	check func(*bufio.Reader) error // nil once it has passed
	owner *transport
	left  func() // called by Close, any number of times
}

// Read checks the header when it is first called. memberlist makes this call in a goroutine
// of the connection, after it has set a deadline.
func (c *conn) Read(p []byte) (int, error) {
	if c.check != nil {
		if err := c.check(c.in); err != nil {
			c.owner.counts.malformed.Add(1)
			return 0, err
		}
		c.check = nil
	}
	return c.in.Read(p)
}

func (c *conn) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.conns, c.Conn)
	c.owner.mu.Unlock()
	c.left()
	return c.Conn.Close()
}
