package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sync/errgroup"
)

// Delegate holds the content of the packets. Its methods are called from several
// goroutines at once. They must not block and must not keep the slices that they are
// given.
type Delegate interface {
	// Merge merges a packet. If the packet told something new, it returns the key
	// under which the packet is gossiped on (a later packet of the same key replaces it
	// in the queue), else "". It returns an error if the packet is malformed.
	Merge(packet []byte) (news string, err error)

	// Digest describes compactly everything that the delegate holds.
	Digest() []byte

	// Missing returns the packets that the holder of digest lacks. It returns an error
	// if the digest is malformed.
	Missing(digest []byte) ([][]byte, error)
}

// Gossip is one member. Its methods are safe for concurrent use.
//
//	Broadcast ──► peers, directly (UDP) ──────────────┬─► Delegate.Merge of each peer
//	    └───────► queue ──► rounds of gossip (UDP) ───┘    └─► the peer's queue, if it was news
//
//	push/pull, or a peer that came back ──► digest ──► peer: Delegate.Missing ──► packets (TCP)
type Gossip struct {
	cfg        Config
	delegate   Delegate
	queue      memberlist.TransmitLimitedQueue
	membership *membership
	repairs    *repairs
	counts     counters
	ready      chan struct{}
	list       atomic.Pointer[memberlist.Memberlist] // nil before Run and after it
}

// retransmits, times the logarithm (base 10, rounded up) of the number of members, is
// how many times each member sends a packet on. If every member sends a packet k times,
// it misses a given member with probability e^-k. With memberlist's default of 4, one
// host of 40 would miss every 40th packet and wait for the next digest exchange.
const retransmits = 6

// maxNews is the largest number of new packets of one batch that are gossiped on. A
// batch with more news ends a long separation; every member repairs that by itself.
const maxNews = 64

// New returns a member that does nothing before Run. It returns an error that names
// every problem of cfg.
func New(cfg Config, d Delegate) (*Gossip, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	g := &Gossip{cfg: cfg, delegate: d, repairs: newRepairs(), ready: make(chan struct{})}
	g.membership = newMembership(cfg, &g.counts)
	g.queue.RetransmitMult = retransmits
	g.queue.NumNodes = func() int { return g.membership.alive() + 1 }
	return g, nil
}

// Run listens, joins the cluster and stays in it until ctx ends. It then returns nil,
// without a message to the peers, which find this member dead. It returns an error if
// it cannot listen. Call it once.
func (g *Gossip) Run(ctx context.Context) error {
	t, err := newTransport(g.cfg, &g.counts)
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	list, err := memberlist.Create(g.memberlistConfig(t))
	if err != nil {
		return fmt.Errorf("gossip: %w", errors.Join(err, t.Shutdown()))
	}
	g.list.Store(list)
	eg, ctx := errgroup.WithContext(ctx)
	eg.Go(func() error {
		<-ctx.Done()
		g.list.Store(nil)
		return list.Shutdown()
	})
	eg.Go(func() error { return g.reconnect(ctx) })
	for range repairWorkers {
		eg.Go(func() error { return g.repair(ctx) })
	}
	if err := eg.Wait(); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	return nil
}

// Ready is closed once Run listens and has dialled every seed and known member once.
func (g *Gossip) Ready() <-chan struct{} { return g.ready }

// Broadcast sends packet directly to up to Config.Fanout peers and queues it for
// gossip to all. It sends a packet that is too large for gossip over TCP. The packet
// replaces the one that is queued under the same key. Broadcast does not wait for the
// network, and may be called before Run.
func (g *Gossip) Broadcast(key string, packet []byte) {
	g.enqueue(key, packet)
	g.send(packet, g.cfg.Fanout)
}

// Tell sends a note of at most 1,000 bytes to one living member, whose Config.Note gets it. The
// note may be lost. Tell does not wait, and ignores members that are not alive. Of members
// without a key, anybody on the network can send notes in any name.
func (g *Gossip) Tell(member string, note []byte) {
	list, node := g.list.Load(), g.membership.node(member)
	if list == nil || node == nil || len(note) > maxNote {
		return
	}
	_ = list.SendBestEffort(node, noteFrame(g.cfg.Name, note)) // the note is lost
}

// Exchange asks a living member, at random, for the packets that this one lacks. The member
// then sends what it holds (Delegate.Digest), too. Exchange does not wait.
func (g *Gossip) Exchange() {
	for _, peer := range g.membership.pick(1) {
		g.addJob(peer.Name, job{ask: true})
	}
}

// Members returns every other member ever known, sorted by name.
func (g *Gossip) Members() []Member { return g.membership.members() }

// Forget removes a member that is not alive from Members, until it answers again. It is no longer
// dialled.
func (g *Gossip) Forget(name string) { g.membership.forget(name) }

// Watch tells of changes to Members, as wake.Broadcast.Watch does.
func (g *Gossip) Watch() (changes <-chan struct{}, cancel func()) {
	return g.membership.changed.Watch()
}

// Conflicts returns the names that two machines have claimed within the last age, at
// most one conflict a name. While a conflict lasts, every digest exchange shows it anew.
func (g *Gossip) Conflicts(age time.Duration) []Conflict { return g.membership.conflicting(age) }

// enqueue queues packet for the rounds of gossip, unless it is too large for them.
func (g *Gossip) enqueue(key string, packet []byte) {
	if len(packet) <= maxGossip {
		g.queue.QueueBroadcast(broadcast{key: key, frame: packetFrame(packet)})
		if g.queue.NumQueued() > MaxQueued {
			g.queue.Prune(MaxQueued)
		}
	}
}

// send sends packet directly to up to n peers.
func (g *Gossip) send(packet []byte, n int) {
	peers := g.membership.pick(n)
	if len(packet) > maxGossip {
		for _, p := range peers {
			g.addJob(p.Name, job{packets: [][]byte{packet}})
		}
		return
	}
	list := g.list.Load()
	if list == nil {
		return
	}
	frame := packetFrame(packet)
	for _, p := range peers {
		if list.SendBestEffort(p, frame) == nil { // a packet that is lost here arrives by gossip
			g.counts.sent.Add(1)
		}
	}
}

// receive processes a frame from a peer. It counts a malformed one.
func (g *Gossip) receive(frame []byte) {
	if err := g.process(frame); err != nil {
		g.counts.malformed.Add(1)
		g.cfg.Log.Debug("malformed message", "err", err)
	}
}

func (g *Gossip) process(frame []byte) error {
	if len(frame) == 0 {
		return errFrame
	}
	body := frame[1:]
	switch frame[0] {
	case framePacket:
		return g.merge([][]byte{body})
	case frameBatch:
		packets, err := unbatch(body)
		return errors.Join(g.merge(packets), err)
	case frameDigest:
		d, err := parseDigest(body)
		if err != nil {
			return err
		}
		g.counts.repairs.Add(1)
		g.addJob(d.from, job{digest: d.sum, answer: d.answer})
		return nil
	case frameNote:
		from, note, err := cutField(body)
		if err != nil || g.cfg.Note == nil {
			return err
		}
		return g.cfg.Note(string(from), note)
	}
	return fmt.Errorf("%w: type %d", errFrame, frame[0])
}

// merge gives packets to the delegate and sends on those that were news.
func (g *Gossip) merge(packets [][]byte) error {
	var errs []error
	news := map[string][]byte{}
	for _, p := range packets {
		g.counts.received.Add(1)
		key, err := g.delegate.Merge(p)
		switch {
		case err != nil:
			errs = append(errs, err)
		case key != "":
			g.counts.news.Add(1)
			news[key] = p
		}
	}
	if len(news) > maxNews {
		return errors.Join(errs...)
	}
	for key, p := range news {
		g.enqueue(key, p)
		if len(p) > maxGossip && g.membership.alive() > g.cfg.Fanout {
			g.send(bytes.Clone(p), 4)
		}
	}
	return errors.Join(errs...)
}

// counters count since New.
type counters struct {
	malformed atomic.Uint64 // packets, streams and digests that could not be understood
	conflicts atomic.Uint64 // times that a second machine claimed a name
	sent      atomic.Uint64 // packets that Broadcast sent directly to a peer
	received  atomic.Uint64 // packets given to the delegate
	news      atomic.Uint64 // received packets that told the delegate something new
	repairs   atomic.Uint64 // digests received
	repaired  atomic.Uint64 // packets sent because a digest lacked them
	dropped   atomic.Uint64 // jobs that did not fit into the queue of repairs
	refused   refusals
}

// Counters returns the counts as they are now, by name.
func (g *Gossip) Counters() map[string]uint64 {
	c := &g.counts
	return map[string]uint64{
		"malformed": c.malformed.Load(), "conflicts": c.conflicts.Load(),
		"sent": c.sent.Load(), "received": c.received.Load(), "news": c.news.Load(),
		"repairs": c.repairs.Load(), "repaired": c.repaired.Load(), "dropped": c.dropped.Load(),
		"refused": c.refused.number(),
	}
}
