package gossip

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"tombolo/internal/wake"
)

// repairWorkers is how many peers are served at once; the rest wait in repairs.
const repairWorkers = 3

// maxWaiting bounds the large packets that wait for one peer. What is dropped
// beyond it, the next digest exchange finds missing.
const maxWaiting = 256

// maxPeers bounds the peers that work waits for; a message can name any.
const maxPeers = 8192

// job is what is to be done for one peer.
type job struct {
	digest  []byte   // send what the holder of this digest lacks
	answer  bool     // and our own digest
	packets [][]byte // send these, too large for gossip
}

// repairs is the work that waits: one job a peer, and never two workers on one
// peer. A newer digest of a peer replaces an older one.
type repairs struct {
	mu      sync.Mutex
	waiting map[string]*job
	order   []string
	busy    map[string]bool
	added   wake.Signal // one worker takes it; next passes it on while work is left
}

func newRepairs() *repairs {
	return &repairs{waiting: map[string]*job{}, busy: map[string]bool{}, added: wake.NewSignal()}
}

// add queues j for a peer, and reports false when something of it was dropped.
func (r *repairs) add(peer string, j job) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.waiting[peer]
	if w == nil && len(r.order) >= maxPeers {
		return false
	}
	if w == nil {
		w = &job{}
		r.waiting[peer] = w
		r.order = append(r.order, peer)
	}
	if j.digest != nil {
		w.digest = j.digest
	}
	w.answer = w.answer || j.answer
	fits := len(w.packets)+len(j.packets) <= maxWaiting
	if fits {
		w.packets = append(w.packets, j.packets...)
	}
	r.added.Notify()
	return fits
}

// next takes the oldest job of a peer that no worker is busy with.
func (r *repairs) next() (peer string, j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, name := range r.order {
		if r.busy[name] {
			continue
		}
		j := r.waiting[name]
		delete(r.waiting, name)
		r.order = append(r.order[:i:i], r.order[i+1:]...)
		r.busy[name] = true
		if len(r.order) > 0 {
			r.added.Notify()
		}
		return name, j
	}
	return "", nil
}

func (r *repairs) done(peer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, peer)
	if len(r.order) > 0 {
		r.added.Notify()
	}
}

// repair does jobs until ctx is done.
func (g *Gossip) repair(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.repairs.added:
		}
		for peer, j := g.repairs.next(); j != nil; peer, j = g.repairs.next() {
			g.do(ctx, peer, j)
			g.repairs.done(peer)
		}
	}
}

func (g *Gossip) do(ctx context.Context, peer string, j *job) {
	node := g.roster.node(peer)
	if node == nil {
		return // gone again: it is compared with when it comes back
	}
	packets := j.packets
	if j.digest != nil {
		missing, err := g.delegate.Missing(j.digest)
		if err != nil {
			g.counts.malformed.Add(1)
			g.cfg.Log.Debug("malformed digest", "host", peer, "err", err)
		}
		g.counts.repaired.Add(uint64(len(missing)))
		packets = append(missing, packets...)
	}
	frames := batches(packets)
	if j.answer {
		frames = append(frames, digestFrame(digest{from: g.cfg.Name, sum: g.delegate.Digest()}))
	}
	for _, f := range frames {
		if err := g.stream(ctx, node, f); err != nil {
			g.cfg.Log.Debug("stream to peer broke", "host", peer, "err", err)
			return // the next digest exchange goes on from here
		}
	}
}

// stream sends one frame over a connection of its own.
func (g *Gossip) stream(ctx context.Context, to *memberlist.Node, frame []byte) error {
	list := g.current()
	if list == nil {
		return ctx.Err()
	}
	return list.SendReliable(to, frame)
}

// compare sends our digest to one of the members that came to life, which answers
// with what we lack and with its own. All of them is not needed: what one side of
// a split knows, each of its members knows.
func (g *Gossip) compare() {
	name := g.roster.cameBack()
	node := g.roster.node(name)
	list := g.current()
	if node == nil || list == nil {
		return
	}
	frame := digestFrame(digest{from: g.cfg.Name, sum: g.delegate.Digest(), answer: true})
	if err := list.SendReliable(node, frame); err != nil {
		g.cfg.Log.Debug("compare with peer that came back", "host", name, "err", err)
	}
}

// settle is how long a member waits after others came to life before it compares:
// memberlist's own exchange may have done it, and not all shall ask at once.
const settle = 300 * time.Millisecond
