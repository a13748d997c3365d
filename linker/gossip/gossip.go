package gossip

import (
	"context"
	"net/netip"
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

// Events hears who comes and goes. Calls are made one at a time, in order.
type Events interface {
	Alive(Member) // joined, came back, or changed its Meta or address
	Dead(Member)  // does not answer any more
	Left(Member)  // said goodbye
}

// State is what this member thinks of another.
type State string

// The states of a member.
const (
	StateAlive State = "alive"
	StateDead  State = "dead"
	StateLeft  State = "left"
)

// Member is another member of the cluster.
type Member struct {
	Name  string
	Addr  netip.AddrPort
	Meta  []byte
	State State
}

// Gossip is one member. Its methods are safe for concurrent use.
type Gossip struct {
	cfg      Config
	delegate Delegate
	events   Events
}

// New returns a member that Run brings to life.
func New(cfg Config, d Delegate, ev Events) (*Gossip, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Gossip{cfg: cfg.withDefaults(), delegate: d, events: ev}, nil
}

// Run listens, joins the cluster, and stays until ctx is done; then it vanishes
// without a goodbye (peers find it dead, unless Leave was called) and returns nil.
// It returns an error when it cannot listen.
func (g *Gossip) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Ready is closed when Run listens and has tried every seed and known member once.
func (g *Gossip) Ready() <-chan struct{} { return nil }

// Broadcast sends packet at once to up to Config.Fanout peers, and has it gossiped
// to all. A packet too large for gossip goes by stream. It replaces what is still
// queued under the same key. It does not wait, and works before Run too.
func (g *Gossip) Broadcast(key string, packet []byte) {}

// SetMeta changes what peers see of this member. It returns an error when meta is
// over MaxMeta.
func (g *Gossip) SetMeta(meta []byte) error { return nil }

// Members returns every other member ever known, sorted by name.
func (g *Gossip) Members() []Member { return nil }

// Leave tells peers that this member goes for good, and waits until they were
// told or ctx is done. Cancel Run's context after it.
func (g *Gossip) Leave(ctx context.Context) error { return nil }

// Stats returns counters since New.
func (g *Gossip) Stats() Stats { return Stats{} }

// Stats counts what happened since New.
type Stats struct {
	Malformed uint64 // packets, streams and digests that made no sense
	Sent      uint64 // packets sent at once
	Received  uint64 // packets merged, news or not
	News      uint64 // packets that told something new
	Repairs   uint64 // digest exchanges after which something was sent
	Repaired  uint64 // packets sent by repair
	Dropped   uint64 // work dropped because a bounded queue was full
}
