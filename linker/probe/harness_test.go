package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// network connects the probers of a test. Each host has a tunnel to each other one, and gossip.
type network struct {
	t       *testing.T
	mu      sync.Mutex
	hosts   []*host
	tunnel  func(from, to string, size int) bool // reports whether a packet passes; nil: all do
	silent  map[string]bool                      // hosts whose linkers neither tell nor hear anything
	packets int
	bytes   int
}

type host struct {
	net    *network
	name   string
	addr   netip.Addr
	mtu    int
	prober *Prober
	inbox  chan arrivedPacket
	closed chan struct{}

	ahead time.Duration // of its clock
	found Found
	saved map[string]int
}

type arrivedPacket struct {
	from netip.Addr
	data []byte
}

// bubble runs f with n hosts that probe each other.
func bubble(t *testing.T, n int, f func(*network)) {
	synctest.Test(t, func(t *testing.T) {
		w := &network{t: t, silent: map[string]bool{}}
		for i := range n {
			w.hosts = append(w.hosts, &host{
				net: w, name: fmt.Sprint("h", i+1), mtu: 1450, addr: netip.AddrFrom4([4]byte{100, 64, byte(i >> 8), byte(i + 1)}),
			})
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for _, h := range w.hosts {
			h.prober = New(Config{Cluster: h, Listen: h.listen, Report: h.report, Save: h.save})
		}
		for _, h := range w.hosts { // each tells the others' probers
			running.Go(func() { _ = h.prober.Run(ctx) })
		}
		f(w)
		stop()
		running.Wait()
	})
}

func (w *network) host(name string) *host {
	for _, h := range w.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

func (w *network) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// rest lets time pass.
func (w *network) rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (h *host) Self() (netip.Addr, int) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.addr, h.mtu
}

func (h *host) Peers() (all []Peer) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	for _, other := range h.net.hosts {
		if other != h {
			all = append(all, Peer{Name: other.name, Addr: other.addr, Underlay: other.addr, MTU: other.mtu})
		}
	}
	return all
}

func (h *host) Tell(peer string, note []byte) {
	h.net.mu.Lock()
	lost := h.net.silent[h.name] || h.net.silent[peer]
	if n, err := parseNote(note); err == nil && n.sizes == nil {
		n.clock += h.ahead.Milliseconds()
		note = n.encode()
	}
	h.net.mu.Unlock()
	if lost {
		return
	}
	if err := h.net.host(peer).prober.Note(h.name, note); err != nil {
		h.net.t.Errorf("a note of %s: %v", h.name, err)
	}
}

func (h *host) report(f Found) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.found = f
	if f.Err != nil {
		h.net.t.Errorf("%s reports %v", h.name, f.Err)
	}
}

func (h *host) save(mtus map[string]int) { h.saved = mtus }

// findings returns what the host has reported last, in words.
func (h *host) findings() (all []string) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	for _, f := range h.found.Paths {
		direction, what := "from", "nothing"
		if f.Outgoing {
			direction = "to"
		}
		if f.MTU > 0 {
			what = "only small packets"
		}
		all = append(all, fmt.Sprintf("%s %s %s", what, direction, f.Peer))
	}
	return all
}

func (h *host) listen(context.Context, netip.Addr) (Tunnel, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.inbox, h.closed = make(chan arrivedPacket, 64), make(chan struct{})
	return fakeTunnel{h, h.inbox, h.closed}, nil
}

type fakeTunnel struct {
	*host
	inbox  chan arrivedPacket
	closed chan struct{}
}

func (f fakeTunnel) Send(to netip.Addr, data []byte) error {
	w := f.net
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packets++
	w.bytes += len(data) + ipHeaders
	for _, h := range w.hosts {
		if h.addr == to && h.inbox != nil && (w.tunnel == nil || w.tunnel(f.name, h.name, len(data)+ipHeaders)) {
			select {
			case h.inbox <- arrivedPacket{f.addr, data}:
			default:
			}
		}
	}
	return nil
}

func (f fakeTunnel) Receive(into []byte) (int, netip.Addr, error) {
	select {
	case p := <-f.inbox:
		return copy(into, p.data), p.from, nil
	case <-f.closed:
		return 0, netip.Addr{}, net.ErrClosed
	}
}

func (f fakeTunnel) Close() error {
	close(f.closed)
	return nil
}

// lossy returns a tunnel that loses a part of the packets.
func lossy(part float64) func(string, string, int) bool {
	random := rand.New(rand.NewPCG(1, 2))
	return func(string, string, int) bool { return random.Float64() >= part }
}
