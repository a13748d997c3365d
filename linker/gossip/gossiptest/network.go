// Package gossiptest has an in-memory network for linker/gossip, with loss and
// partitions, and a Delegate that keeps a small versioned table. It opens no sockets.
package gossiptest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Network connects the transports that it makes.
type Network struct {
	mu    sync.Mutex
	rng   *rand.Rand
	loss  float64
	group map[string]int // address -> side of the split; empty: no split
	nodes map[string]*transport
}

// NewNetwork returns a network; seed decides which packets it loses.
func NewNetwork(seed uint64) *Network {
	return &Network{
		rng: rand.New(rand.NewPCG(seed, 0)), group: map[string]int{}, nodes: map[string]*transport{},
	}
}

// Lose makes the network lose this share of all packets, and no streams.
func (n *Network) Lose(share float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = share
}

// Split separates these addresses (host:port) from all others. Without addresses it
// ends the split.
func (n *Network) Split(away ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.group)
	for _, a := range away {
		n.group[a] = 1
	}
}

// Transport returns a transport that listens on addr (host:port). It replaces an earlier
// one that was shut down.
func (n *Network) Transport(addr string) memberlist.NodeAwareTransport {
	udp, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		panic(err) // the test's own mistake
	}
	t := &transport{
		net: n, addr: udp,
		// About as deep as a socket's buffer. Packets beyond it are lost.
		packets: make(chan *memberlist.Packet, 512),
		streams: make(chan net.Conn),
		done:    make(chan struct{}),
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[addr] = t
	return t
}

func (n *Network) route(from *transport, to string, lossy bool) (*transport, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.nodes[to]
	if t == nil || n.group[from.addr.String()] != n.group[to] || lossy && n.rng.Float64() < n.loss {
		return nil, fmt.Errorf("no route to %s", to)
	}
	return t, nil
}

// transport is one member's end of the network.
type transport struct {
	net     *Network
	addr    *net.UDPAddr
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.addr.IP, t.addr.Port, nil
}

func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress returns no error for a lost packet, as with UDP.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	now := time.Now()
	if to, err := t.net.route(t, a.Addr, true); err == nil {
		select {
		case to.packets <- &memberlist.Packet{Buf: slices.Clone(b), From: t.addr, Timestamp: now}:
		default:
		}
	}
	return now, nil
}

func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }
func (t *transport) StreamCh() <-chan net.Conn           { return t.streams }

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	to, err := t.net.route(t, a.Addr, false)
	if err != nil {
		return nil, err
	}
	here, there := net.Pipe()
	select {
	case to.streams <- there:
		return here, nil
	case <-to.done:
		err = fmt.Errorf("dial %s: refused", a.Addr)
	case <-t.done:
		err = fmt.Errorf("dial %s: shut down", a.Addr)
	case <-time.After(timeout):
		err = fmt.Errorf("dial %s: timeout", a.Addr)
	}
	here.Close()
	there.Close()
	return nil, err
}

func (t *transport) Shutdown() error {
	t.once.Do(func() {
		close(t.done)
		t.net.mu.Lock()
		defer t.net.mu.Unlock()
		if t.net.nodes[t.addr.String()] == t {
			delete(t.net.nodes, t.addr.String())
		}
	})
	return nil
}
