package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sync/errgroup"
)

// Delegate holds what the packets say. Its methods are called from several
// goroutines at once, must not block, and must not keep the slices they are given.
type Delegate interface {
	// Merge takes a packet in. It returns the key under which the packet is passed
	// on to others (a later packet of the same key replaces it in the queue), or ""
	// when it told nothing new. An error means a packet that makes no sense.
	Merge(packet []byte) (news string, err error)

	// Digest describes all that the delegate holds, compactly.
	Digest() []byte

	// Missing returns the packets that the holder of digest lacks.
	Missing(digest []byte) ([][]byte, error)
}

// Gossip is one member. Its methods are safe for concurrent use.
//
//	Broadcast ──► peers at once (UDP)                 ┌─► Delegate.Merge
//	    └───────► queue ──► memberlist gossip ──► peer ┤
//	                                                  └─► its queue, when it was news
//	push/pull, a peer that came back ──► digest ──► peer: Delegate.Missing ──► stream of what is missing
type Gossip struct {
	cfg      Config
	delegate Delegate
	queue    memberlist.TransmitLimitedQueue
	roster   *roster
	repairs  *repairs
	counts   counters
	ready    chan struct{}

	mu   sync.Mutex
	list *memberlist.Memberlist // nil before Run and after
}

// retransmits, times log10 of the number of members rounded up, is how often each
// member sends a packet on. One that everybody sends k times misses a given member
// with probability e^-k: memberlist's own 4 would have one host in 40 packets among
// 40 hosts wait for the next digest exchange.
const retransmits = 6

// New returns a member that Run brings to life. It listens to nothing yet.
func New(cfg Config, d Delegate, ev Events) (*Gossip, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	g := &Gossip{
		cfg:      cfg,
		delegate: d,
		roster:   newRoster(cfg, ev),
		repairs:  newRepairs(),
		ready:    make(chan struct{}),
	}
	g.queue.RetransmitMult = retransmits
	g.queue.NumNodes = func() int { return g.roster.alive() + 1 }
	return g, nil
}

// Run listens, joins the cluster, and stays until ctx is done; then it vanishes
// without a goodbye (peers find it dead) and returns nil.
// It returns an error when it cannot listen. It runs once.
func (g *Gossip) Run(ctx context.Context) error {
	t, err := newTransport(g.cfg, &g.counts)
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	if err := g.start(t); err != nil {
		return fmt.Errorf("gossip: %w", errors.Join(err, t.Shutdown()))
	}
	eg, ctx := errgroup.WithContext(ctx)
	eg.Go(func() error { <-ctx.Done(); return g.stop() })
	eg.Go(func() error { return g.roster.tell(ctx) })
	eg.Go(func() error { return g.reconnect(ctx) })
	for range repairWorkers {
		eg.Go(func() error { return g.repair(ctx) })
	}
	if err := eg.Wait(); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	return nil
}

func (g *Gossip) start(t *transport) error {
	list, err := memberlist.Create(g.memberlistConfig(t))
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.list = list
	return nil
}

func (g *Gossip) stop() error {
	g.mu.Lock()
	list := g.list
	g.list = nil
	g.mu.Unlock()
	return list.Shutdown()
}

func (g *Gossip) memberlistConfig(t *transport) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	timing := g.cfg.Timing
	c.Name = g.cfg.Name
	c.Label = clusterLabel
	c.Transport = t
	c.BindPort = int(g.cfg.Bind.Port())
	c.AdvertisePort = c.BindPort
	c.BindAddr = g.cfg.Bind.Addr().String()
	if g.cfg.Advertise.IsValid() {
		c.AdvertiseAddr = g.cfg.Advertise.String()
	}
	if len(g.cfg.Keys) > 0 {
		c.Keyring, _ = memberlist.NewKeyring(g.cfg.Keys, g.cfg.Keys[0]) // Validate has checked them
	}
	c.TCPTimeout = streamTimeout
	c.ProbeInterval, c.ProbeTimeout = timing.Probe, timing.ProbeTimeout
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = timing.SuspicionMult, timing.SuspicionMaxMult
	c.GossipInterval, c.PushPullInterval = timing.Gossip, timing.PushPull
	c.GossipNodes = 4
	c.DeadNodeReclaimTime = 5 * time.Second // a machine may come back with another address
	c.EnableCompression = false             // packets are compact, and expanding a stranger's is a risk
	c.Delegate, c.Events, c.Conflict = listener{g}, g.roster, g.roster
	c.Logger = newLogger(g.cfg.Log, &g.counts)
	return c
}

// Ready is closed when Run listens and has tried every seed and known member once.
func (g *Gossip) Ready() <-chan struct{} { return g.ready }

// Broadcast sends packet at once to up to Config.Fanout peers, and has it gossiped
// to all. A packet too large for gossip goes by stream. It replaces what is still
// queued under the same key. It does not wait, and works before Run too.
func (g *Gossip) Broadcast(key string, packet []byte) {
	g.pass(key, packet)
	g.spread(packet, g.cfg.Fanout)
}

// pass has a packet gossiped to all.
func (g *Gossip) pass(key string, packet []byte) {
	if len(packet) <= maxGossip {
		g.queue.QueueBroadcast(broadcast{key: key, frame: packetFrame(packet)})
	}
}

// spread sends packet now to up to n peers.
func (g *Gossip) spread(packet []byte, n int) {
	peers := g.roster.pick(n)
	if len(packet) > maxGossip {
		for _, p := range peers {
			g.counts.drop(!g.repairs.add(p.Name, job{packets: [][]byte{packet}}))
		}
		return
	}
	list := g.current()
	if list == nil {
		return
	}
	frame := packetFrame(packet)
	for _, p := range peers {
		if list.SendBestEffort(p, frame) == nil { // what is lost here, gossip brings
			g.counts.sent.Add(1)
		}
	}
}

func (g *Gossip) current() *memberlist.Memberlist {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list
}

// Members returns every other member ever known, sorted by name.
func (g *Gossip) Members() []Member { return g.roster.members() }

// Conflicts returns the names that two machines have claimed within age, at most
// one conflict for each. While one lasts it is seen anew with every digest exchange.
func (g *Gossip) Conflicts(age time.Duration) []Conflict { return g.roster.conflicting(age) }

// listener is what memberlist calls.
type listener struct{ g *Gossip }

// NodeMeta implements memberlist.Delegate.
func (l listener) NodeMeta(int) []byte { return []byte(memberMark) }

// NotifyMsg implements memberlist.Delegate.
func (l listener) NotifyMsg(frame []byte) { l.g.receive(frame) }

// GetBroadcasts implements memberlist.Delegate.
func (l listener) GetBroadcasts(overhead, limit int) [][]byte {
	return l.g.queue.GetBroadcasts(overhead, limit)
}

// LocalState implements memberlist.Delegate: a digest, never the state itself,
// for memberlist takes 20 MB and no more.
func (l listener) LocalState(bool) []byte {
	return digestFrame(digest{from: l.g.cfg.Name, sum: l.g.delegate.Digest()})
}

// MergeRemoteState implements memberlist.Delegate: it only queues the work.
func (l listener) MergeRemoteState(frame []byte, _ bool) { l.g.receive(frame) }

// broadcast is one queued packet.
type broadcast struct {
	key   string
	frame []byte
}

// Name implements memberlist.NamedBroadcast: a packet replaces an older one of its
// key.
func (b broadcast) Name() string { return b.key }

// Invalidates implements memberlist.Broadcast.
func (b broadcast) Invalidates(o memberlist.Broadcast) bool {
	other, ok := o.(broadcast)
	return ok && other.key == b.key
}

// Message implements memberlist.Broadcast.
func (b broadcast) Message() []byte { return b.frame }

// Finished implements memberlist.Broadcast.
func (b broadcast) Finished() {}

// jitter spreads d over [d/2, 3d/2), so that members do not act in step.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(max(d, 1)) }

// hostPort joins an address for memberlist.
func hostPort(n *memberlist.Node) string {
	return net.JoinHostPort(n.Addr.String(), fmt.Sprint(n.Port))
}
