package probe

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tombolo/internal/wake"
)

// Tunnel sends and receives datagrams between the overlay addresses of hosts. Receive returns
// net.ErrClosed after Close.
type Tunnel interface {
	Send(to netip.Addr, datagram []byte) error
	Receive(into []byte) (n int, from netip.Addr, err error)
	Close() error
}

// Cluster is what the prober has to know about this host and its peers.
type Cluster interface {
	// Self returns this host's own IPv4 address in the overlay, and the size in bytes of the
	// largest IP packet that its VXLAN device carries. The zero Addr means that the kernel is
	// not ready.
	Self() (addr netip.Addr, mtu int)
	// Peers returns the hosts to which the kernel sends packets, and that are alive.
	Peers() []Peer
	// Tell sends a note to a peer on the underlay. It does not wait, and the note may be lost.
	Tell(peer string, note []byte)
}

// Config has what a Prober works with.
type Config struct {
	Cluster Cluster
	Listen  func(ctx context.Context, addr netip.Addr) (Tunnel, error)

	// Report is called with all that holds, whenever that changes.
	Report func(Found)

	// MTUs are the MTUs of paths that the last run found, by peer; Save keeps them for the next
	// one. Otherwise large packets would be lost after each restart until they are found again.
	MTUs map[string]int
	Save func(map[string]int)

	Log *slog.Logger
}

// Prober probes the peers. Make one with New.
type Prober struct {
	cfg     Config
	state   *state
	notes   chan received
	shots   chan arrival
	changed wake.Broadcast
	mtus    atomic.Pointer[map[string]int] // what MTUs returns
}

type received struct {
	from string
	note note
}

type arrival struct {
	from netip.Addr
	shot shot
}

// buffered bounds the notes and shots that wait while Run is busy. More are dropped, and
// their rounds say nothing.
const buffered = 256

// New returns a Prober that does nothing before Run.
func New(cfg Config) *Prober {
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	p := &Prober{cfg: cfg, state: newState(maps.Clone(cfg.MTUs)), notes: make(chan received, buffered), shots: make(chan arrival, buffered)}
	p.publish()
	return p
}

// Note takes a note that a peer has told. It does not wait. It returns an error for a note that
// no prober sends.
func (p *Prober) Note(from string, body []byte) error {
	n, err := parseNote(body)
	if err != nil {
		return err
	}
	select {
	case p.notes <- received{from, n}:
	default:
	}
	return nil
}

// MTUs returns the sizes in bytes of the largest packets that pass to peers, of those peers to
// which packets of the full size do not pass. Nobody changes the map.
func (p *Prober) MTUs() map[string]int { return *p.mtus.Load() }

// Watch tells of changes to MTUs, as wake.Broadcast.Watch does.
func (p *Prober) Watch() (changes <-chan struct{}, cancel func()) { return p.changed.Watch() }

// Run probes until ctx ends. Call it once.
func (p *Prober) Run(ctx context.Context) error {
	var readers errgroup.Group
	defer func() { _ = readers.Wait() }()
	var socket listener
	defer socket.close()
	clock := time.NewTicker(tick)
	defer clock.Stop()
	var told Found
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-p.notes:
			p.take(r)
			continue
		case a := <-p.shots:
			p.state.received(a.from, a.shot, time.Now())
			continue
		case <-clock.C:
		}
		err := socket.follow(ctx, p.cfg, func(t Tunnel) { readers.Go(func() error { p.read(ctx, t); return nil }) })
		p.step(socket)
		if now := (Found{p.state.findings(), p.state.skews(), err}); now.differs(told) {
			told = now
			p.cfg.Report(now)
		}
	}
}

func (f Found) differs(old Found) bool {
	return (f.Err == nil) != (old.Err == nil) || !slices.Equal(f.Paths, old.Paths) || !slices.Equal(f.Clocks, old.Clocks)
}

func (p *Prober) take(r received) {
	if r.note.sizes != nil {
		p.state.query(r.from, r.note, time.Now())
		return
	}
	p.state.answered(r.from, r.note, time.Now())
	p.publish()
}

// publish makes the MTUs of paths known, if they have changed.
func (p *Prober) publish() {
	old := p.mtus.Load()
	if old != nil && maps.Equal(*old, p.state.mtus) {
		return
	}
	mtus := maps.Clone(p.state.mtus)
	p.mtus.Store(&mtus)
	if old != nil {
		p.cfg.Save(mtus)
		p.changed.Notify()
	}
}

// step does what is due.
func (p *Prober) step(socket listener) {
	now := time.Now()
	p.state.setPeers(p.cfg.Cluster.Peers(), now)
	p.state.expire(now)
	for len(p.shots) > 0 { // before concluding that they are missing
		a := <-p.shots
		p.state.received(a.from, a.shot, now)
	}
	for peer, answers := range p.state.answers(socket.since, now) {
		for _, n := range answers {
			p.cfg.Cluster.Tell(peer, n.encode())
		}
	}
	if socket.tunnel == nil {
		return
	}
	if k := p.state.next(now); k != nil {
		p.round(socket, k, now)
	}
}

// round sends the shots of a round and the query.
func (p *Prober) round(socket listener, k *known, now time.Time) {
	var id roundID
	rand.Read(id[:]) // it never fails
	sizes := p.state.begin(k, id, socket.mtu, now)
	for i, size := range sizes {
		if err := socket.tunnel.Send(k.peer.Addr, shot{round: id, number: i, size: size}.encode()); err != nil {
			p.cfg.Log.Debug("a shot cannot be sent", "peer", k.peer.Name, "size", size, "err", err) // it counts as lost
		}
	}
	p.cfg.Cluster.Tell(k.peer.Name, note{round: id, sizes: sizes}.encode())
}

// read passes on the shots that arrive, until the tunnel is closed.
func (p *Prober) read(ctx context.Context, t Tunnel) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := t.Receive(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // such as an ICMP message
			if !wake.Sleep(ctx, tick) {
				return
			}
			continue
		}
		s, err := parseShot(buf[:n])
		if err != nil {
			continue
		}
		select {
		case p.shots <- arrival{from, s}:
		case <-ctx.Done():
			return
		}
	}
}

// listener is the socket of a Prober, and the address for which it was opened.
type listener struct {
	tunnel Tunnel // nil: closed
	addr   netip.Addr
	mtu    int
	since  time.Time
}

// follow opens a socket at this host's address, and another one when the address changes. It
// calls opened for each.
func (l *listener) follow(ctx context.Context, cfg Config, opened func(Tunnel)) error {
	addr, mtu := cfg.Cluster.Self()
	l.mtu = mtu
	if l.tunnel != nil && addr == l.addr {
		return nil
	}
	l.close()
	if !addr.IsValid() {
		return nil
	}
	t, err := cfg.Listen(ctx, addr)
	if err != nil {
		return err
	}
	*l = listener{tunnel: t, addr: addr, mtu: mtu, since: time.Now()}
	opened(t)
	return nil
}

func (l *listener) close() {
	if l.tunnel != nil {
		_ = l.tunnel.Close()
	}
	*l = listener{mtu: l.mtu}
}
